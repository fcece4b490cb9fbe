import t from 'tap'
import { Listener } from '../../bench/neighbour/listener.js'
import { LOUD, neighbours } from '../../bench/neighbour/load.js'
import { startHarness } from '../support/harness.js'

const LOAD = { perSecond: 2000, seconds: 2 }

t.test('[POS-2] [STATE-2] beside a job that floods no other job loses a durable or final event', async (t) => {
  const play = neighbours(LOAD)
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const processor: typeof play = (input, job) => opened.then(() => play(input, job))
  const h = await startHarness(t, { nodes: 2, processor, env: { WORKER_CONCURRENCY: '16' } })
  const watch = async (id: string, sub: string) => {
    await h.submit({ id, sub })
    return h.nodes.map(({ ws }) => new Listener(ws, id, h.token(sub)))
  }
  const loud = await watch(`${LOUD}-1`, 'loud-user')
  const light = await Promise.all(Array.from({ length: 10 }, (_, i) => watch(`light-${i}`, `user-${i}`)))
  const everybody = [...loud, ...light.flat()]
  await Promise.all(everybody.map((listener) => listener.ready()))
  open()
  await Promise.all(everybody.map((listener) => listener.finished()))
  for (const [i, listeners] of light.entries()) {
    const { body } = await h.call('GET', `/api/v2/runs/light-${i}/events?limit=1000`, { sub: `user-${i}` })
    const seqs: number[] = body.events.map(({ seq }: { seq: number }) => seq)
    t.equal(body.events.filter(({ type }: { type: string }) => type === 'metric_update').length, 10)
    t.equal(body.events.at(-1).type, 'completed')
    for (const listener of listeners) {
      t.ok(listener.since <= 2, 'it was there before the first of them')
      t.same(listener.missing(seqs), [])
      t.same(
        listener.seqs,
        listener.seqs.toSorted((a, b) => a - b),
      )
    }
  }
  for (const { values, resyncs } of loud) {
    t.ok(values.length > 0)
    const first = values[0] ?? Number.NaN
    if (resyncs === 0)
      t.same(
        values,
        Array.from({ length: LOAD.perSecond * LOAD.seconds - first }, (_, i) => first + i),
      )
  }
  t.same(h.faults, [])
})
