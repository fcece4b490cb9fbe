import t from 'tap'
import { buildFrame } from '../../src/hub/frame.js'
import { HubTally } from '../../src/hub/hub-tally.js'
import { Outbox, type Outgoing } from '../../src/hub/outbox.js'
import { ManualClock, ManualTransport } from '../support/manual.js'

const LIMITS = { maxOutboxBytes: 1000, stallMs: 30_000 }

function setUp(limits = LIMITS) {
  const clock = new ManualClock()
  const transport = new ManualTransport()
  const told: string[] = []
  const owner = {
    overflowed: () => told.push('overflowed'),
    drained: () => told.push('drained'),
    stalled: () => told.push('stalled'),
    cleared: () => {},
  }
  const outbox = new Outbox(transport, clock, limits, owner, new HubTally())
  return { clock, transport, told, outbox }
}

function item(n: number, bytes = 10): Outgoing {
  return { bytes, seal: () => buildFrame({ n }) }
}

const numbers = (transport: ManualTransport) => transport.messages.map(({ n }) => n)

t.test('what is enqueued in one turn leaves in one write, in order', async (t) => {
  const { clock, transport, outbox } = setUp()
  for (const n of [1, 2, 3]) outbox.enqueue(item(n), 'progress')
  t.equal(transport.writes.length, 0)
  clock.turn()
  t.equal(transport.writes.length, 1)
  t.same(numbers(transport), [1, 2, 3], 'a client that is not slow gets every tick')
})

t.test('[SLOW-1] while the client is slow a tick takes the place of the waiting one with its key, behind what came since', async (t) => {
  const { clock, transport, outbox } = setUp()
  transport.fill(100)
  outbox.enqueue(item(1), 'a')
  outbox.enqueue(item(2), 'b')
  outbox.enqueue(item(3))
  outbox.enqueue(item(4), 'a')
  outbox.enqueue(item(5))
  clock.turn()
  t.equal(transport.writes.length, 0)
  t.equal(outbox.bytes, 40)
  transport.drain()
  t.same(numbers(transport), [2, 3, 4, 5])
  t.equal(outbox.bytes, 0)
})

t.test('[SLOW-1] ticks of a slow client do not add up', async (t) => {
  const { transport, outbox } = setUp()
  transport.fill(100)
  for (let n = 0; n < 10_000; n += 1) outbox.enqueue(item(n), 'progress')
  t.equal(outbox.bytes, 10)
  transport.drain()
  t.same(numbers(transport), [9999])
})

t.test('[SLOW-2] a backlog past its limit is dropped whole, and the owner hears of it once and again when the client reads', async (t) => {
  const { transport, told, outbox } = setUp()
  transport.fill(500)
  for (let n = 0; n < 60; n += 1) outbox.enqueue(item(n))
  t.same(told, ['overflowed'])
  t.equal(outbox.bytes, 0)
  outbox.enqueue(item(99))
  t.equal(outbox.bytes, 0, 'nothing is kept until the owner was told')
  transport.drain()
  t.same(told, ['overflowed', 'drained'])
  outbox.enqueue(item(100))
  outbox.flush()
  t.same(numbers(transport), [100])
})

t.test('a client that is not slow may be sent more at once than a backlog may hold', async (t) => {
  const { clock, transport, told, outbox } = setUp({ maxOutboxBytes: 70_000, stallMs: 1 })
  for (let n = 0; n < 200; n += 1) outbox.enqueue(item(n, 1000))
  clock.turn()
  t.equal(numbers(transport).length, 200)
  t.same(told, [])
})

t.test('a full socket stops the flow in the middle, and it goes on where it stopped', async (t) => {
  const { clock, transport, outbox } = setUp({ maxOutboxBytes: 1e9, stallMs: 30_000 })
  transport.fillsAfter = 1
  for (let n = 0; n < 150; n += 1) outbox.enqueue(item(n, 1000))
  clock.turn()
  t.equal(transport.writes.length, 1)
  t.ok(outbox.bytes > 0)
  transport.fillsAfter = undefined
  transport.drain()
  t.same(numbers(transport), [...Array(150).keys()])
})

t.test('[SLOW-3] only a client that drains nothing at all is dead', async (t) => {
  const { clock, transport, told, outbox } = setUp()
  transport.fill(500)
  outbox.enqueue(item(1))
  outbox.flush()
  clock.advance(29_999)
  transport.bufferedBytes = 400
  clock.advance(1)
  t.same(told, [], 'it has drained something')
  clock.advance(30_000)
  t.same(told, ['stalled'])
})

t.test('[SLOW-3] one that drains in time is not dead, and a closed outbox leaves no timer', async (t) => {
  const { clock, transport, told, outbox } = setUp()
  transport.fill(500)
  outbox.flush()
  clock.advance(20_000)
  transport.drain()
  clock.advance(60_000)
  t.same(told, [])
  transport.fill(500)
  outbox.flush()
  outbox.close()
  t.equal(clock.pendingTimers, 0)
  outbox.enqueue(item(1))
  transport.drain()
  t.same(transport.writes, [])
})
