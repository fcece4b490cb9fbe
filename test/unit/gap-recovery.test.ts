import t from 'tap'
import { CountedStream, QUIET_MS } from '../support/counted-stream.js'
import { settle } from '../support/manual.js'

t.test('[POS-7] in step: the next item is delivered, a known one dropped, one ahead read for', async (t) => {
  const stream = await new CountedStream().open()
  const first = stream.write()
  stream.recovery.receive(first)
  stream.recovery.receive(first)
  t.same([stream.known, stream.reads], [[1], 1])
  stream.write()
  stream.publish()
  await settle()
  t.same([stream.known, stream.reads], [[1, 2, 3], 2])
  t.same(stream.covered, [], 'none was held back')
})

t.test('[POS-7] reading: items are held back, then replayed by the same rules', async (t) => {
  const stream = new CountedStream()
  stream.holdReads()
  const opening = stream.open()
  stream.publish()
  t.same(stream.known, [], 'nothing before the first answer')
  stream.releaseReads()
  await opening
  t.same(stream.known, [1], 'the read has begun before it was written')

  stream.write()
  stream.holdReads()
  const again = stream.recovery.refresh()
  const late = [stream.write(), stream.write()]
  stream.recovery.receive({ generation: 'a', seq: 2 })
  for (const item of late) stream.recovery.receive(item)
  stream.releaseReads()
  t.equal(await again, 2)
  t.same([stream.known, stream.covered, stream.reads], [[1, 2, 3, 4], [2], 2])
})

t.test('[POS-7] a gap in the replay, or told during a read, is read for once more', async (t) => {
  const stream = await new CountedStream().open()
  for (const tell of [() => stream.publish(), () => void stream.recovery.recover()]) {
    const { reads } = stream
    stream.holdReads()
    void stream.recovery.recover()
    stream.write()
    tell()
    stream.releaseReads()
    await settle()
    t.equal(stream.known.at(-1), stream.head.seq)
    t.equal(stream.reads, reads + 2)
  }
})

t.test('[POS-7] calls share reads: one that is under way, and one after it', async (t) => {
  const stream = await new CountedStream().open()
  stream.holdReads()
  const calls = [1, 2, 3].flatMap(() => [stream.recovery.recover(), stream.recovery.refresh()])
  stream.write()
  stream.releaseReads()
  await Promise.all(calls)
  t.same([stream.known, stream.reads], [[1], 3])
})

t.test('[POS-7] out of order, from another generation, and in a flood', async (t) => {
  const stream = await new CountedStream().open()
  const [a, b, c] = [stream.write(), stream.write(), stream.write()]
  for (const item of [c, a, b]) stream.recovery.receive(item)
  await settle()
  t.same([stream.known, stream.reads], [[1, 2, 3], 2])
  stream.restart('b')
  stream.publish()
  await settle()
  t.same(stream.position, { generation: 'b', seq: 1 })
  stream.holdReads()
  void stream.recovery.recover()
  for (let i = 0; i < 1500; i += 1) stream.publish()
  stream.releaseReads()
  await settle()
  t.equal(stream.known.length, 1501, 'the oldest of them were dropped, and read')
})

t.test('[POS-7] a store that is away is asked again; a fault is told once', async (t) => {
  const stream = await new CountedStream().open()
  stream.fails = 'away'
  stream.write()
  const recovered = stream.recovery.recover()
  await settle()
  for (let i = 0; i < 3; i += 1) await stream.pass(500)
  stream.publish()
  t.same([stream.known, stream.faults, stream.unreachable], [[], [], 4])
  stream.fails = null
  await stream.pass(500)
  await recovered
  t.same(stream.known, [1, 2])

  const { reads } = stream
  stream.fails = new TypeError('x is not a function')
  stream.write()
  stream.holdReads()
  const failed = stream.recovery.recover()
  stream.publish()
  stream.releaseReads()
  await failed
  await stream.pass(QUIET_MS - 1)
  t.match(stream.faults, [{ name: 'TypeError' }])
  t.equal(stream.reads, reads + 1)
  stream.fails = null
  await stream.pass(1)
  t.same(stream.known, [1, 2, 3, 4], 'silence')
})

t.test('[POS-7] silence is a gap, and each item puts it off', async (t) => {
  const stream = await new CountedStream().open()
  await stream.pass(QUIET_MS - 1)
  stream.publish()
  stream.write()
  await stream.pass(QUIET_MS - 1)
  t.same([stream.known, stream.reads], [[1], 1])
  await stream.pass(1)
  t.same([stream.known, stream.reads], [[1, 2], 2])
})

t.test('a first read that fails rejects, and what was held back waits for the next', async (t) => {
  const stream = new CountedStream()
  stream.fails = 'away'
  await t.rejects(stream.open(), { code: 'overloaded' })
  stream.publish()
  await stream.recovery.recover()
  t.same([stream.known, stream.reads], [[], 1], 'there is nothing to recover yet')
  stream.fails = null
  await stream.open()
  t.same([stream.known, stream.covered], [[1], [1]])
})

t.test('close ends everything: reads, pauses, timers', async (t) => {
  const stream = await new CountedStream().open()
  stream.fails = 'away'
  const recovered = stream.recovery.recover()
  await settle()
  stream.recovery.close()
  await recovered
  stream.fails = null
  stream.publish()
  await stream.recovery.recover()
  t.same([stream.known, stream.reads, stream.clock.pendingTimers], [[], 2, 0])
})
