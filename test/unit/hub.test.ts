import t from 'tap'
import { runDialect } from '../../src/core/dialect.js'
import { runEvents } from '../../src/core/run-events.js'
import { HubTally } from '../../src/hub/hub-tally.js'
import { Outbox } from '../../src/hub/outbox.js'
import { SeriesSubscription } from '../../src/hub/series-subscription.js'
import { TelemetryPump } from '../../src/hub/telemetry-pump.js'
import { TelemetryTopic } from '../../src/hub/telemetry-topic.js'
import { RuncastError } from '../../src/protocol/codes.js'
import { type HubClient, HubWorld, prove } from '../support/hub-client.js'
import { BUILT_IN } from '../support/kinds.js'
import { ManualTransport, settle } from '../support/manual.js'
import type { Message } from '../support/test-client.js'

t.test('[CONN-5] snapshot, latest entry per key in seq order without the status, then live', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  await world.broker.metric('j', 'b', 1)
  await world.broker.metric('j', 'a', 2)
  await world.broker.metric('j', 'b', 3)
  await world.broker.progress('j', 40)
  const client = world.connect('j')
  await client.settle()
  await world.broker.progress('j', 50)
  await client.settle()
  t.same(
    client.messages.map(({ type, seq }) => [type, seq]),
    [
      ['status', 6],
      ['metric_update', 4],
      ['metric_update', 5],
      ['progress', 6],
      ['progress', 7],
    ],
  )
  t.match(client.snapshot, { recovered: false, percent: 40, status: 'running', metrics: { a: { value: 2 }, b: { value: 3 } } })
  prove(client.messages)
})

t.test('[CONN-5] entries that come while the state is being read are neither lost nor sent twice', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  world.broker.holdReads()
  const client = world.connect('j')
  await client.settle()
  t.same(client.messages, [], 'nothing before the state is known')
  await world.broker.metric('j', 'late')
  await world.broker.progress('j', 10)
  world.broker.releaseReads()
  await client.settle()
  t.same(client.seqs, [4, 3, 4], 'the snapshot says them already; their entries belong to it')
  prove(client.messages)
})

t.test('[CONN-5] a state that is newer than the channel: what the channel still brings is not sent again', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const first = world.connect('j')
  await first.settle()
  world.broker.holdEntries()
  await world.broker.metric('j', 'a')
  await world.broker.metric('j', 'b')
  world.broker.gap('j')
  await first.settle()
  world.broker.releaseEntries()
  await first.settle()
  t.same(first.seqs, [2, 3, 4])
})

t.test('[POS-7] a jump in seq is healed once for all, unseen', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const clients = [world.connect('j'), world.connect('j'), world.connect('j')]
  await world.settle()
  const reads = world.broker.reads
  world.broker.loses = 2
  for (const name of ['a', 'b', 'c']) await world.broker.metric('j', name)
  await world.settle()
  t.equal(world.broker.reads, reads + 1)
  for (const client of clients) {
    t.same(client.seqs, [2, 3, 4, 5])
    prove(client.messages)
  }
})

t.test('[POS-7] a silent job whose stored seq is ahead is found: the lost final message arrives', async (t) => {
  const world = new HubWorld({ quietMs: 10_000 })
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  world.broker.loses = 1
  await world.broker.end('j')
  await client.settle()
  t.equal(client.messages.length, 1)
  world.clock.advance(10_000)
  await client.settle()
  t.same(
    client.messages.map(({ type }) => type),
    ['status', 'completed'],
  )
})

t.test('[POS-7] a connection that was lost: what was missed is read, and tried again until it can be', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  world.broker.failsReads = true
  world.broker.loses = 2
  await world.broker.progress('j', 20)
  await world.broker.metric('j', 'a')
  world.broker.gap('j')
  await client.settle()
  t.equal(client.messages.length, 1)
  world.broker.failsReads = false
  world.clock.advance(500)
  await client.settle()
  t.same(client.seqs, [2, 3, 4])
  prove(client.messages)
})

t.test('[POS-7] entries out of order are put in order', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  world.broker.holdEntries()
  for (const name of ['a', 'b', 'c', 'd']) await world.broker.metric('j', name)
  world.broker.releaseEntries([2, 0, 3, 1])
  await client.settle()
  t.same(client.seqs, [2, 3, 4, 5, 6])
  prove(client.messages)
})

t.test('[POS-4] a client that resumes gets exactly the missed durable entries and the latest tick per key', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const first = world.connect('j')
  await first.settle()
  const { seq, epoch } = first.snapshot
  await world.broker.progress('j', 10)
  await world.broker.metric('j', 'a', 1)
  await world.broker.progress('j', 20)
  await world.broker.metric('j', 'a', 2)
  const second = world.connect('j', { after: { epoch, seq } })
  await second.settle()
  t.equal(second.snapshot.recovered, true)
  t.same(
    second.messages.slice(1).map((m) => [m.seq, m.percent ?? m.value]),
    [
      [4, 1],
      [5, 20],
      [6, 2],
    ],
  )
})

t.test('[POS-4] also from what only the log remembers, and while new entries come', async (t) => {
  const world = new HubWorld({ maxRecentEntries: 2 })
  await world.broker.run('j')
  for (let i = 0; i < 10; i += 1) await world.broker.metric('j', `m${i}`)
  const first = world.connect('j')
  await first.settle()
  const { epoch } = first.snapshot
  world.broker.holdReads()
  const second = world.connect('j', { after: { epoch, seq: 5 } })
  await second.settle()
  await world.broker.metric('j', 'meanwhile')
  world.broker.releaseReads()
  await second.settle()
  t.equal(second.snapshot.recovered, true)
  t.equal(second.snapshot.seq, 13)
  t.same(second.seqs.slice(1), [6, 7, 8, 9, 10, 11, 12, 13])
})

t.test('[POS-4] many clients that resume from one place cost one read', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  await world.broker.metric('j', 'a')
  await world.broker.metric('j', 'b')
  const first = world.connect('j')
  await first.settle()
  const reads = world.broker.reads
  const clients = Array.from({ length: 100 }, () => world.connect('j', { after: { epoch: first.snapshot.epoch, seq: 3 } }))
  await world.settle()
  t.equal(world.broker.reads, reads + 1)
  for (const client of clients) t.same(client.seqs, [4, 4])
})

t.test('clients that connect to a job that is watched already cost no read at all', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  world.connect('j')
  await world.settle()
  const reads = world.broker.reads
  for (let i = 0; i < 1000; i += 1) world.connect('j')
  await world.settle()
  t.equal(world.broker.reads, reads)
})

t.test('[POS-5] where the log does not reach back the whole state follows, never a part of what was missed', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  for (let i = 0; i < 80; i += 1) await world.broker.metric('j', `m${i % 3}`, i)
  const first = world.connect('j')
  await first.settle()
  const trimmed = world.connect('j', { after: { epoch: first.snapshot.epoch, seq: 2 } })
  const foreign = world.connect('j', { after: { epoch: 'other', seq: 80 } })
  const ahead = world.connect('j', { after: { epoch: first.snapshot.epoch, seq: 999 } })
  await world.settle()
  for (const client of [trimmed, foreign, ahead]) {
    t.equal(client.snapshot.recovered, false)
    t.same(client.seqs, [82, 80, 81, 82])
  }
})

t.test('[POS-4] resumes at a hub that has not received what the client has', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const first = world.connect('j')
  await first.settle()
  const { epoch } = first.snapshot
  world.broker.loses = 2
  await world.broker.metric('j', 'a')
  await world.broker.metric('j', 'b')
  await world.settle()
  t.equal(first.messages.length, 1)
  // Another hub has sent it the first of both.
  const moved = world.connect('j', { after: { epoch, seq: 3 } })
  await world.settle()
  t.match(moved.snapshot, { recovered: true, seq: 4 })
  t.same(
    moved.messages.slice(1).map(({ seq }) => seq),
    [4],
  )
  t.same(
    first.messages.slice(1).map(({ seq }) => seq),
    [3, 4],
    'what the hub lacked reaches its other clients',
  )
})

t.test('[POS-6] another Redis answers: every client gets a fresh snapshot in the new epoch', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  await world.broker.metric('j', 'a')
  const client = world.connect('j')
  await client.settle()
  const { epoch } = client.snapshot
  world.broker.server = '-2'
  world.broker.gap('j')
  await client.settle()
  t.match(client.messages.at(-2), { type: 'status', recovered: false, seq: 3 })
  t.not(client.snapshot.epoch, epoch)
  const resumed = world.connect('j', { after: { epoch, seq: 3 } })
  await resumed.settle()
  t.equal(resumed.snapshot.recovered, false)
})

t.test('[POS-6] a Redis came back with all entries: an open socket gets the new epoch with the next entry', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const [early, late] = [world.connect('j'), world.connect('j')]
  await world.settle()
  const { epoch } = early.snapshot
  for (const goesOnBefore of [true, false]) {
    world.broker.restart()
    world.broker.gap('j')
    await world.settle()
    t.equal(early.messages.filter(({ type }) => type === 'status').length, goesOnBefore ? 1 : 2, 'nothing is sent where nothing is missing')
    await world.broker.metric('j', 'a', 1)
    await world.broker.metric('j', 'b', 2)
  }
  await world.settle()
  for (const client of [early, late]) {
    t.same(
      client.messages.slice(1).map(({ type, seq, recovered }) => [type, seq, recovered]),
      [
        ['status', 3, true],
        ['metric_update', 3, undefined],
        ['metric_update', 4, undefined],
        ['status', 5, true],
        ['metric_update', 5, undefined],
        ['metric_update', 6, undefined],
      ],
    )
    t.equal(client.snapshot.epoch, `${epoch}-again-again`)
    prove(client.messages)
  }
})

t.test('[POS-6] entries that were written before the hub was back follow in the new epoch, each once', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  world.broker.restart()
  world.broker.loses = 2
  await world.broker.metric('j', 'a', 1)
  await world.broker.metric('j', 'b', 2)
  world.broker.gap('j')
  await client.settle()
  t.same(
    client.messages.slice(1).map(({ type, seq, recovered }) => [type, seq, recovered]),
    [
      ['status', 3, true],
      ['metric_update', 3, undefined],
      ['metric_update', 4, undefined],
    ],
  )
  prove(client.messages)
})

t.test('[POS-4] [POS-6] a position of an earlier epoch of the same history resumes', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const first = world.connect('j')
  await first.settle()
  const { epoch } = first.snapshot
  world.broker.restart()
  await world.broker.metric('j', 'a', 1)
  world.broker.gap('j')
  await world.settle()
  const resumed = world.connect('j', { after: { epoch, seq: 2 } })
  const whole = world.connect('j', { after: { epoch, seq: 3 } })
  const ahead = world.connect('j', { after: { epoch, seq: 4 } })
  await world.settle()
  t.same([resumed.snapshot.recovered, ...resumed.seqs], [true, 3, 3])
  t.not(resumed.snapshot.epoch, epoch)
  t.same([whole.snapshot.recovered, ...whole.seqs], [false, 3, 3], 'a client may take recovered without a replay for position 0')
  t.equal(ahead.snapshot.recovered, false)
})

t.test('[SLOW-2] [POS-6] a slow client of an earlier epoch gets what it has missed', async (t) => {
  const world = new HubWorld({ maxOutboxBytes: 10_000 })
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  client.transport.fill(9000)
  for (let i = 0; i < 4; i += 1) await world.broker.metric('j', `m${i}`, i)
  world.broker.restart()
  world.broker.gap('j')
  await client.settle()
  for (let i = 4; i < 12; i += 1) await world.broker.metric('j', `m${i}`, i)
  await client.settle()
  client.transport.drain()
  await client.settle()
  t.match(client.snapshot, { recovered: true, resync: true, seq: 14 })
  t.match(client.snapshot.epoch, /-again$/)
  prove(client.messages)
})

t.test('[POS-9] a state from which a tab continues names the seq that the tab was listed with', async (t) => {
  const world = new HubWorld()
  await world.run('j')
  const client = world.connect(null)
  await client.settle()
  const listed = client.messages[0]?.processes[0].seq
  t.ok(listed > 0)
  world.broker.restart()
  world.broker.gap('j')
  await client.settle()
  await world.end('j')
  await client.settle()
  t.match(
    client.messages.find(({ type }) => type === 'subscribed'),
    { recovered: true, after: listed },
  )
})

t.test('[JOB-3] a job of another user does not exist, and in a new epoch that is asked again', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const bob = world.connect('j', { token: 'bob' })
  const alice = world.connect('j')
  await world.settle()
  t.equal(bob.transport.closedWith, 'not_found')
  t.same(bob.messages, [])
  t.equal(alice.transport.closedWith, undefined)
  world.policy.mayView = () => false
  world.broker.server = '-2'
  world.broker.gap('j')
  await world.settle()
  t.equal(alice.transport.closedWith, 'not_found')
  t.equal(alice.messages.length, 1)
})

t.test('[CONN-4] an id that passes to a job of another kind does not exist at the address of the first', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  world.broker.kind = BUILT_IN.get('benchmark')
  world.broker.server = '-2'
  world.broker.gap('j')
  const late = world.connect('j')
  await world.settle()
  t.same([client.transport.closedWith, late.transport.closedWith], ['not_found', 'not_found'])
  t.same([...client.faults, ...late.faults], [])
})

t.test('[CONN-8] a frame is built once and shared by all who are in step', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const [a, b] = [world.connect('j'), world.connect('j')]
  await world.settle()
  await world.broker.metric('j', 'a')
  await world.broker.metric('j', 'b')
  await world.settle()
  t.equal(a.transport.writes.length, 2, 'snapshot, then both entries of one turn in one write')
  t.equal(a.transport.writes[1]?.[0], b.transport.writes[1]?.[0])
  t.equal(a.transport.writes[1]?.[1], b.transport.writes[1]?.[1])
})

t.test('[POS-1] [SLOW-1] prev tells a slow client what was left out, and those who fell behind together share the frame', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const [a, b, fast] = [world.connect('j'), world.connect('j'), world.connect('j')]
  await world.settle()
  for (const slow of [a, b]) slow.transport.fill(100)
  for (const percent of [10, 20]) await world.broker.progress('j', percent)
  await world.broker.metric('j', 'm')
  for (const percent of [30, 40]) await world.broker.progress('j', percent)
  await world.settle()
  for (const slow of [a, b]) slow.transport.drain()
  await world.settle()
  t.same(
    a.messages.slice(1).map(({ seq, prev }) => [seq, prev]),
    [
      [5, 2],
      [7, 5],
    ],
  )
  t.equal(a.transport.writes.at(-1)?.[0], b.transport.writes.at(-1)?.[0])
  t.same(fast.seqs, [2, 3, 4, 5, 6, 7])
  for (const client of [a, b, fast]) prove(client.messages)
})

t.test('[SLOW-2] [SLOW-4] a client that falls behind gets a resync, recovered, and the final message', async (t) => {
  const world = new HubWorld({ maxOutboxBytes: 4000 })
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  client.transport.fill(100)
  for (let i = 0; i < 30; i += 1) await world.broker.metric('j', `m${i % 4}`, i)
  await world.broker.end('j')
  await client.settle()
  t.equal(client.messages.length, 1)
  client.transport.drain()
  await client.settle()
  t.match(client.messages[1], { type: 'status', resync: true, status: 'completed', seq: 33 })
  t.equal(client.messages.at(-1).type, 'completed')
  t.equal(client.messages.at(-1).seq, 33)
  await world.broker.memory.publish('j', [{ ...runEvents.status('j', 'queued'), clears: 'round' }], { round: 2, token: 0, n: 0 })
  await client.settle()
  t.equal(client.messages.length, client.messages.findIndex(({ type }) => type === 'completed') + 1, 'completed absorbs: no retry of it')
  prove(client.messages)
})

t.test('[SLOW-2] a resync is recovered from the last seq where what was missed is small enough, else it is the whole state', async (t) => {
  for (const [count, recovered] of [
    [12, true],
    [40, false],
  ] as const) {
    const world = new HubWorld({ maxOutboxBytes: 4000 })
    await world.broker.run('j')
    const client = world.connect('j')
    await client.settle()
    client.transport.fill(3500)
    for (let i = 0; i < count; i += 1) await world.broker.metric('j', `m${i % 3}`, i)
    await client.settle()
    client.transport.drain()
    await client.settle()
    t.match(client.snapshot, { resync: true, recovered })
    t.equal(client.messages.length, 2 + (recovered ? count : 3))
    prove(client.messages)
  }
})

t.test('[CONN-7] a retry goes on in the same socket with the next round', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  await world.broker.progress('j', 60)
  const client = world.connect('j')
  await client.settle()
  await world.broker.memory.publish('j', [runEvents.failed('j', { error: 'e', code: 'solver_error', log_tail: '' }, {})], {
    round: 1,
    token: 0,
    n: 0,
  })
  await world.broker.memory.publish('j', [{ ...runEvents.status('j', 'queued'), clears: 'round' }], { round: 2, token: 0, n: 0 })
  await client.settle()
  const late = world.connect('j')
  await late.settle()
  t.match(client.messages.slice(-2), [{ type: 'error' }, { type: 'status', status: 'queued', attempt: 1 }])
  t.match(late.snapshot, { status: 'queued', percent: null, finished_at: null })
  t.equal(late.messages.length, 1, 'nothing of the round before')
})

t.test('a job that is not there yet is not remembered as absent', async (t) => {
  const world = new HubWorld()
  const early = world.connect('j')
  await early.settle()
  t.equal(early.transport.closedWith, 'not_found')
  await world.broker.run('j')
  const later = world.connect('j')
  await later.settle()
  t.equal(later.snapshot.status, 'running')
})

t.test('the channel is left some time after the last client, and a reload within it costs nothing', async (t) => {
  const world = new HubWorld({ lingerMs: 5000, quietMs: 1e9 })
  await world.broker.run('j')
  const first = world.connect('j')
  await first.settle()
  first.session.ended()
  world.clock.advance(4000)
  const reads = world.broker.reads
  const second = world.connect('j')
  await second.settle()
  t.equal(world.broker.reads, reads)
  world.clock.advance(10_000)
  await world.broker.metric('j', 'a')
  await second.settle()
  t.same(second.seqs, [2, 3], 'it did not leave under the second client')
  second.session.ended()
  world.clock.advance(5000)
  await second.settle()
  await world.broker.metric('j', 'b')
  t.equal(world.clock.pendingTimers, 0)
})

t.test('Redis that cannot be asked closes with a code that says: try again', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  world.broker.failsReads = true
  const client = world.connect('j')
  await client.settle()
  t.equal(client.transport.closedWith, 'overloaded')
  world.broker.failsReads = false
  const again = world.connect('j')
  await again.settle()
  t.equal(again.snapshot.status, 'running')
})

t.test('a fault of a program while a gap is healed is told once, and not tried again as if Redis were away', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  const before = world.broker.reads
  world.broker.failsReads = new TypeError('x is not a function')
  world.broker.gap('j')
  await world.settle()
  world.clock.advance(10_000)
  await world.settle()
  t.match(world.faults, [{ name: 'TypeError' }])
  t.equal(world.faults.length, 1)
  t.equal(world.broker.reads, before + 1)
  world.broker.failsReads = false
  await world.broker.metric('j', 'a')
  await client.settle()
  t.match(client.seqs.at(-1), 3, 'the client goes on')
})

t.test('[CONN-9] a client that only listens lives by its pongs; one that gives no sign of life is closed', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  await world.broker.run('j')
  const [listens, silent] = [world.connect('j'), world.connect('j')]
  await world.settle()
  for (let i = 0; i < 8; i += 1) {
    world.clock.advance(15_000)
    listens.session.touch()
  }
  t.equal(listens.transport.closedWith, undefined)
  t.equal(listens.transport.pings, 8)
  t.equal(silent.transport.closedWith, 'idle')
  t.equal(silent.transport.pings, 5)
})

t.test('[CONN-9] a clock that is set forward or back disconnects nobody', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  await world.broker.run('j')
  const client = world.connect('j')
  await world.settle()
  for (const ms of [3600_000, -7200_000]) {
    world.clock.set(ms)
    world.clock.advance(15_000)
    t.equal(client.transport.closedWith, undefined)
  }
  world.clock.advance(75_000)
  t.equal(client.transport.closedWith, 'idle')
})

t.test(
  '[POS-4] [SLOW-4] a replay that was dropped half way was not delivered: the next resync begins where the client really is',
  async (t) => {
    const world = new HubWorld({ maxOutboxBytes: 20_000 })
    await world.broker.run('j')
    const before = world.connect('j')
    await before.settle()
    const { epoch } = before.snapshot
    for (let i = 0; i < 40; i += 1) await world.broker.metric('j', `m${i}`, i)
    const client = world.connect('j', { after: { epoch, seq: 2 } })
    client.transport.fill(15_000)
    await client.settle()
    for (let i = 0; i < 40; i += 1) await world.broker.metric('j', `m${i}`, -i)
    await world.broker.end('j')
    await client.settle()
    client.transport.drain()
    await client.settle()
    const { recovered } = client.snapshot
    const replay = client.messages.slice(client.messages.findLastIndex((message) => 'recovered' in message) + 1)
    t.equal(replay.at(-1).type, 'completed')
    const wanted = recovered ? [...Array(81).keys()].map((i) => i + 3) : [...new Set(replay.map(({ seq }) => seq))]
    t.same(
      replay.map(({ seq }) => seq),
      wanted,
    )
    if (!recovered) t.equal(replay.length, 41, 'all forty metrics and the end')
    prove(client.messages)
  },
)

t.test('[SLOW-2] [POS-6] a slow client in a new epoch gets its snapshot and all that belongs to it', async (t) => {
  const world = new HubWorld({ maxOutboxBytes: 10_000 })
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  client.transport.fill(9000)
  for (let i = 0; i < 4; i += 1) await world.broker.metric('j', `m${i}`, i)
  world.broker.server = '-2'
  world.broker.gap('j')
  await client.settle()
  for (let i = 0; i < 70; i += 1) await world.broker.metric('j', `m${i}`, i)
  await world.broker.end('j')
  await client.settle()
  client.transport.drain()
  await client.settle()
  const at = client.messages.findLastIndex((message) => 'recovered' in message)
  t.match(client.snapshot, { status: 'completed', recovered: false, resync: true })
  t.match(client.snapshot.epoch, /-2$/)
  t.equal(client.messages.slice(at + 1).length, 71)
  t.equal(client.messages.at(-1).type, 'completed')
  prove(client.messages)
})

t.test('[SLOW-2] a state that is larger than a backlog may be still arrives, whole and once', async (t) => {
  const world = new HubWorld({ maxOutboxBytes: 5000 })
  await world.broker.run('j')
  for (let i = 0; i < 200; i += 1) await world.broker.metric('j', `m${i}`, i)
  await world.broker.end('j')
  const client = world.connect('j')
  client.transport.fill(4000)
  await client.settle()
  client.transport.drain()
  await client.settle()
  t.equal(client.messages.length, 202)
  t.equal(client.messages.filter((message) => 'recovered' in message).length, 1)
  t.equal(client.messages.at(-1).type, 'completed')
})

t.test('[POS-7] a gap that is told while a read is under way is read for as well', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  world.broker.holdReads()
  world.broker.gap('j')
  await client.settle()
  world.broker.loses = 1
  await world.broker.end('j')
  world.broker.gap('j')
  world.broker.releaseReads()
  await client.settle()
  t.equal(client.messages.at(-1).type, 'completed')
})

t.test('[MSG-1] [MSG-4] answers to the client are not dropped with its backlog, and pongs do not add up', async (t) => {
  const world = new HubWorld({ maxOutboxBytes: 2000 })
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  client.transport.fill(1900)
  for (let i = 0; i < 40; i += 1) client.session.receive('{"type":"ping"}')
  client.session.receive('{"type":"dance"}')
  for (let i = 0; i < 20; i += 1) await world.broker.metric('j', 'm', i)
  await client.settle()
  client.transport.drain()
  await client.settle()
  t.equal(client.messages.filter(({ type }) => type === 'pong').length, 1)
  t.equal(client.messages.filter(({ type }) => type === 'refused').length, 1)
  t.equal(client.snapshot.resync, true)
})

t.test('[MSG-5] more messages in one second than allowed are breaches', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  for (let i = 0; i < 52; i += 1) client.session.receive('{"type":"ping"}')
  await client.settle()
  t.equal(client.messages.filter(({ type }) => type === 'refused').length, 2)
  world.clock.advance(1000)
  client.session.receive('{"type":"ping"}')
  await client.settle()
  t.equal(client.messages.at(-1).type, 'pong')
})

t.test('[MSG-3] a renewed token is asked again what it may view', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  world.identities.set('admin', { sub: 'carol', role: 'admin', issuedAt: 0, expiresAt: world.clock.now() + 1e6 })
  world.identities.set('demoted', { sub: 'carol', role: 'user', issuedAt: 0, expiresAt: world.clock.now() + 1e6 })
  world.policy.mayView = (identity, owner) => identity.sub === owner || identity.role === 'admin'
  const client = world.connect('j', { token: 'admin' })
  await client.settle()
  t.equal(client.snapshot.status, 'running')
  client.session.receive('{"type":"auth","token":"demoted"}')
  await client.settle()
  t.equal(client.transport.closedWith, 'not_found')
})

t.test('[MSG-3] a renewal that cannot be looked at right now is refused, and the old token holds', async (t) => {
  const world = new HubWorld()
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  const { authenticate } = world.policy
  world.policy.authenticate = async () => Promise.reject(new RuncastError('overloaded'))
  client.session.receive('{"type":"auth","token":"alice"}')
  await client.settle()
  t.match(client.messages.at(-1), { type: 'refused', request: 'auth', code: 'overloaded' })
  await world.broker.metric('j', 'after')
  await client.settle()
  t.match(client.messages.at(-1), { metric_name: 'after' })
  world.policy.authenticate = authenticate
  client.session.receive('{"type":"auth","token":"alice"}')
  await client.settle()
  t.equal(client.messages.at(-1).type, 'authenticated')
  const first = world.connect('j', { token: null })
  world.policy.authenticate = async () => Promise.reject(new RuncastError('overloaded'))
  first.session.receive('{"type":"auth","token":"alice"}')
  await first.settle()
  t.equal(first.transport.closedWith, 'overloaded', 'who has no token yet has nothing that could hold')
})

t.test('[SLOW-3] a slow client that still speaks is not dead', async (t) => {
  const world = new HubWorld({ stallMs: 30_000 })
  await world.broker.run('j')
  const client = world.connect('j')
  await client.settle()
  client.transport.fillsAfter = 2
  await world.broker.metric('j', 'm')
  await client.settle()
  client.session.receive('{"type":"ping"}')
  await client.settle()
  world.clock.advance(20_000)
  client.session.touch()
  world.clock.advance(15_000)
  t.equal(client.transport.terminated, false)
  world.clock.advance(40_000)
  t.equal(client.transport.terminated, true)
})

/** A progress whose usual step is 5 s. */
function step(percent: number) {
  return runEvents.progress('j', { percent, phase: 'solving', message: '', elapsed_s: 1, step_s: 5 })
}

/** The job `j` runs, and clients ask for its health. */
async function healthWorld() {
  const world = new HubWorld({ quietMs: 10_000 })
  await world.run('j')
  const watch = async (options: object = {}) => {
    const client = world.connect(null)
    await client.settle()
    client.ask({ type: 'subscribe', process_id: 'j', health: true, ...options })
    await client.settle()
    return client
  }
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1000) {
      world.clock.advance(1000)
      await world.settle()
    }
  }
  return { world, watch, pass }
}

function healthOf(client: HubClient): string[] {
  return client.messages.filter(({ type }) => /health$/.test(type)).map(({ health }) => health)
}

t.test('[HEALTH-1] [HEALTH-2] a job without an advance is stalled, until its next one or its end', async (t) => {
  const { world, watch, pass } = await healthWorld()
  const unasked = await watch({ health: false })
  const client = await watch({ dialect: 'run' })
  t.same(client.messages.at(-1), { type: 'health', run_id: 'j', health: 'ok' })
  await world.broker.report('j', step(10))
  await pass(14_000)
  t.same(healthOf(client), ['ok'], 'less than 3 usual steps')
  await world.broker.report('j', step(10))
  await pass(14_000)
  t.same(healthOf(client), ['ok', 'stalled'], 'the same progress again is no advance')
  t.match(client.messages.at(-1), { run_id: 'j', since: /Z$/ })
  const late = await watch()
  t.match(late.messages.at(-1), { type: 'process_health', process_id: 'j', process_type: 'solver', health: 'stalled' })
  await world.broker.report('j', step(20))
  await world.settle()
  for (let i = 0; i < 16; i += 1) {
    await pass(1000)
    await world.broker.metric('j', 'm', i)
  }
  await world.settle()
  t.same(healthOf(client), ['ok', 'stalled', 'ok', 'stalled'], 'metrics are no advance')
  await world.end('j')
  await pass(60_000)
  t.same(healthOf(client), ['ok', 'stalled', 'ok', 'stalled'], 'an ended job has none')
  t.same(healthOf(late), ['stalled', 'ok', 'stalled'])
  t.same(healthOf(unasked), [])
})

t.test('[HEALTH-1] a hub that was not there knows that a job is stalled by its last progress', async (t) => {
  const { world, watch } = await healthWorld()
  const { message, ...event } = step(10)
  const timestamp = new Date(Date.now() - 60_000).toISOString()
  await world.broker.report('j', { ...event, message: { ...message, timestamp } })
  t.same(healthOf(await watch()), ['ok'], 'it has begun to run just now')
  const { message: started, ...status } = runEvents.status('k', 'running')
  await world.submit('k')
  await world.broker.report('k', { ...status, message: { ...started, timestamp } })
  await world.broker.report('k', { ...event, message: { ...message, run_id: 'k', timestamp } })
  const client = await watch({ process_id: 'k' })
  t.same(healthOf(client), ['stalled'])
  t.equal(client.messages.at(-1)?.since.slice(0, 16), timestamp.slice(0, 16))
})

t.test('[HEALTH-1] a cancelling or paused job is not stalled, nor one whose step is unknown', async (t) => {
  for (const status of ['cancelling', 'paused'] as const) {
    const { world, watch, pass } = await healthWorld()
    const client = await watch()
    await world.broker.report('j', step(10))
    await pass(20_000)
    await world.broker.status('j', status)
    await pass(60_000)
    t.same(healthOf(client), ['ok', 'stalled', 'ok'], status)
  }
  const { world, watch, pass } = await healthWorld()
  await world.broker.progress('j', 10)
  const client = await watch()
  await pass(600_000)
  t.same(healthOf(client), ['ok'])
})

t.test('[HEALTH-1] a job without a sign of life is stale, also if it is stalled', async (t) => {
  const { world, watch, pass } = await healthWorld()
  await world.broker.report('j', step(10))
  const client = await watch()
  const reads = world.broker.reads
  world.broker.stale = true
  await pass(20_000)
  t.same(healthOf(client), ['ok', 'stale'])
  t.match(client.messages.at(-1), { since: /Z$/ })
  world.broker.stale = false
  await pass(10_000)
  t.same(healthOf(client), ['ok', 'stale', 'stalled'])
  await world.broker.report('j', step(20))
  await world.settle()
  t.same(healthOf(client), ['ok', 'stale', 'stalled', 'ok'])
  t.equal(world.broker.reads, reads + 3, 'it is read no more often than a silent job is anyway')
  await world.fail('j')
  await world.settle()
  await world.retry('j')
  await world.settle()
  t.same(healthOf(client), ['ok', 'stale', 'stalled', 'ok', 'ok'], 'the next execution begins anew')
})

t.test('[HEALTH-2] a slow client gets only the newest health', async (t) => {
  const { world, watch, pass } = await healthWorld()
  const client = await watch()
  await world.broker.report('j', step(10))
  await world.settle()
  client.transport.fill(1000)
  await pass(20_000)
  await world.broker.report('j', step(20))
  await pass(20_000)
  t.same(healthOf(client), ['ok'])
  client.transport.drain()
  await client.settle()
  t.same(healthOf(client), ['ok', 'stalled'])
  prove(client.messages)
  client.session.ended()
  t.same(await world.leaks(), [])
})

t.test('[ART-11] a client that is slow, or misses a message, gets the list of artifacts again', async (t) => {
  const world = new HubWorld({ quietMs: 10_000 })
  const { memory } = world.broker
  await world.run('j')
  memory.storeArtifact('j', 'early')
  const client = world.connect(null)
  await client.settle()
  client.ask({ type: 'subscribe', process_id: 'j', dialect: 'run', artifacts: true })
  await client.settle()
  const told = () => client.messages.filter(({ type }) => type.startsWith('artifact'))
  const names = ({ name, artifacts }: Message): string[] => artifacts?.map((each: Message) => each.name) ?? [name]
  t.match(told(), [{ type: 'artifacts', run_id: 'j', n: 1, artifacts: [{ name: 'early', n: 1 }] }])
  memory.storeArtifact('j', 'next')
  await client.settle()
  t.match(told().at(-1), { type: 'artifact', run_id: 'j', n: 2, name: 'next', url: 'https://example.com/2' })

  memory.storeArtifact('j', 'lost', true)
  memory.storeArtifact('j', 'after')
  await client.settle()
  t.match(told().at(-1), { type: 'artifacts', n: 4 }, 'one was missing before it')
  t.same(names(told().at(-1)), ['early', 'next', 'lost', 'after'])
  memory.storeArtifact('j', 'silent', true)
  world.clock.advance(10_000)
  await client.settle()
  t.equal(names(told().at(-1)).at(-1), 'silent', 'and nothing after it')

  const before = told().length
  client.transport.fill(1000)
  memory.storeArtifact('j', 'next')
  memory.storeArtifact('j', 'late')
  await client.settle()
  t.equal(told().length, before, 'a slow client has no backlog of them')
  client.transport.drain()
  await client.settle()
  t.equal(told().length, before + 1)
  t.same(names(told().at(-1)), ['early', 'lost', 'after', 'silent', 'next', 'late'])

  await world.fail('j')
  await client.settle()
  t.equal(told().length, before + 1, 'the end changes nothing')
  await world.retry('j')
  await client.settle()
  t.match(told().at(-1), { type: 'artifacts', n: 0, artifacts: [] }, 'the next execution has none')
  t.same(client.faults, [])
})

t.test('curves of a job that is gone are released as its subscription finishes', async (t) => {
  const world = new HubWorld()
  const { clock, broker } = world
  const ignored = { overflowed: () => {}, drained: () => {}, stalled: () => {}, cleared: () => {} }
  const outbox = new Outbox(new ManualTransport(), clock, { maxOutboxBytes: 1000, stallMs: 1000 }, ignored, new HubTally())
  const onFault = (error: unknown) => world.faults.push(error)
  const pump = new TelemetryPump(outbox, clock, onFault)
  const topic = new TelemetryTopic('gone', { telemetry: broker.memory.telemetry, clock, onFault }, 1000)
  let released = 0
  const ports = { topic, pump, dialect: runDialect, view: () => null, released: () => (released += 1) }
  const part = new SeriesSubscription(ports)
  part.start()
  await settle()
  t.equal(released, 0, 'while it is wanted, the job may come back')
  part.finish()
  await settle()
  t.equal(released, 1)
  t.ok(topic.isIdle)
  t.same(world.faults, [])
})
