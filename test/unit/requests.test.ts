import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { type ProcessRequest, Requests } from '../../src/client/requests.js'

const subscribe = (process_id: string) => ({ type: 'subscribe', process_id })

/** The requests that were sent; time stands still until a test moves it. */
function collect(t: Test) {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
  const sent: ProcessRequest[] = []
  return { sent, requests: new Requests((request) => sent.push(request)) }
}

t.test('what a watch asks for by itself keeps a pace that hubs take', async (t) => {
  const { sent, requests } = collect(t)
  for (let i = 0; i < 70; i += 1) requests.add(subscribe(`p${i}`))
  t.equal(sent.length, 30)
  mock.timers.tick(1000)
  t.equal(sent.length, 60)
  mock.timers.tick(1000)
  t.same(
    sent.map(({ process_id }) => process_id),
    Array.from({ length: 70 }, (_, i) => `p${i}`),
  )
})

t.test('one request about a process is under way at a time', async (t) => {
  const { sent, requests } = collect(t)
  requests.add(subscribe('p'))
  requests.add(subscribe('p'))
  t.equal(sent.length, 1)
  requests.answered('p')
  requests.add(subscribe('p'))
  t.equal(sent.length, 2)
  requests.replace({ type: 'unsubscribe', process_id: 'p' })
  t.equal(sent.at(-1)?.type, 'unsubscribe')
})

t.test('[MSG-5] what was too fast for a hub, or could not be answered now, is asked again', async (t) => {
  const { sent, requests } = collect(t)
  for (const id of ['a', 'b']) requests.add(subscribe(id))
  requests.again('b')
  t.equal(sent.length, 2)
  mock.timers.tick(1000)
  t.same(sent.slice(2), [subscribe('b')])
  requests.again()
  mock.timers.tick(1000)
  t.equal(sent.length, 5)
})

t.test('over another connection nothing is left of it', async (t) => {
  const { sent, requests } = collect(t)
  for (let i = 0; i < 40; i += 1) requests.add(subscribe(`p${i}`))
  requests.clear()
  mock.timers.tick(5000)
  t.equal(sent.length, 30)
  requests.add(subscribe('p0'))
  t.equal(sent.length, 31)
})
