import t from 'tap'
import type { HubClient } from '../helpers/hub-client.js'
import { HubWorld } from '../helpers/hub-client.js'
import { proveProcesses } from '../helpers/process-proof.js'
import type { Message } from '../helpers/test-client.js'

function listOf(client: HubClient): Message {
  return client.messages.findLast(({ type }) => type === 'process_list')
}

function idsOf(views: readonly Message[]): string[] {
  return views.map(({ process_id }) => process_id)
}

t.test('[PROC-1] the list names the active processes with their positions, newest first, and those that have ended', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  await world.broker.tick('a', 40)
  await world.submit('b')
  await world.run('c')
  await world.end('c')
  await world.run('of-bob', 'bob')
  const client = world.connect(null)
  await client.settle()
  t.equal(client.messages.length, 1)
  const list = listOf(client)
  t.same(idsOf(list.processes), ['b', 'a'])
  t.match(list.processes[1], { status: 'running', progress: { current: 40, total: 100, phase: 'solving' }, seq: 3, epoch: String })
  t.match(list.recent, [{ process_id: 'c', status: 'completed', seq: 3 }])
  t.notOk('resync' in list)
})

t.test('[PROC-2] after the list come the messages of all of them, and of each that begins later, from its first on', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  const client = world.connect(null)
  await client.settle()
  await world.run('b')
  await client.settle()
  await world.broker.tick('a', 10)
  await world.broker.tick('b', 20)
  await world.end('b')
  await client.settle()
  t.same(client.told('a'), [['process_progress', 3]])
  t.same(client.told('b'), [
    ['process_queued', 1],
    ['process_started', 2],
    ['process_progress', 3],
    ['process_completed', 4],
  ])
  proveProcesses(client.messages)
})

t.test('[PROC-3] measurements are left out, and the next message says so, also where the log was read', async (t) => {
  const world = new HubWorld()
  const client = world.connect(null)
  await client.settle()
  world.feeds.holdAnnouncements()
  await world.run('a')
  await world.broker.metric('a', 'm')
  world.feeds.releaseAnnouncements()
  await client.settle()
  t.same(client.told('a'), [
    ['process_queued', 1],
    ['process_started', 2],
  ])
  await world.broker.tick('a', 10)
  await client.settle()
  t.match(client.messages.at(-1), { type: 'process_progress', seq: 4, prev: 2 })
  proveProcesses(client.messages)
})

t.test('[PROC-2] announced while the list is being made: in the list or from its first message on, never twice', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  world.feeds.holdReads()
  const client = world.connect(null)
  await client.settle()
  await world.run('b')
  world.feeds.releaseReads()
  world.broker.holdReads()
  await client.settle()
  await world.run('c')
  await world.broker.tick('a', 5)
  world.broker.releaseReads()
  await client.settle()
  t.same(idsOf(listOf(client).processes), ['a'])
  for (const id of ['b', 'c']) {
    t.same(client.told(id), [
      ['process_queued', 1],
      ['process_started', 2],
    ])
  }
  proveProcesses(client.messages)
})

t.test('[PROC-2] [PROC-5] a job that has ended before anybody could read of it is told whole', async (t) => {
  const whole = [
    ['process_queued', 1],
    ['process_started', 2],
    ['process_completed', 3],
  ]
  const world = new HubWorld({ quietMs: 10_000 })
  const client = world.connect(null)
  await client.settle()
  await world.run('short')
  await world.end('short')
  await client.settle()
  t.same(client.told('short'), whole)

  world.feeds.holdReads()
  const second = world.connect(null)
  await client.settle()
  await world.run('while-another-tab-opens')
  await world.end('while-another-tab-opens')
  world.feeds.releaseReads()
  await client.settle()
  for (const tab of [client, second]) t.same(tab.told('while-another-tab-opens'), whole)

  world.feeds.loses = 1
  await world.run('unheard')
  await world.end('unheard')
  world.clock.advance(10_000)
  await client.settle()
  for (const tab of [client, second]) {
    t.same(tab.told('unheard'), whole)
    proveProcesses(tab.messages)
  }
})

t.test('[PROC-5] lost announcements are found by the next one, by a gap, and by silence', async (t) => {
  const world = new HubWorld({ quietMs: 10_000 })
  const client = world.connect(null)
  await client.settle()
  world.feeds.loses = 1
  await world.run('a')
  await world.run('b')
  await client.settle()
  t.equal(client.told('a').length, 2, 'by the next one')
  world.feeds.loses = 1
  await world.run('c')
  world.feeds.gap('alice')
  await client.settle()
  t.equal(client.told('c').length, 2, 'by a gap')
  world.feeds.loses = 1
  await world.run('d')
  world.clock.advance(10_000)
  await client.settle()
  t.equal(client.told('d').length, 2, 'by silence')
  for (const id of ['a', 'b', 'c', 'd']) t.equal(client.told(id).length, 2, `${id} once`)
  proveProcesses(client.messages)
})

t.test('[PROC-5] announcements out of order, and again', async (t) => {
  const world = new HubWorld()
  const client = world.connect(null)
  await client.settle()
  world.feeds.holdAnnouncements()
  for (const id of ['a', 'b', 'c']) await world.run(id)
  world.feeds.releaseAnnouncements([2, 0, 0, 1, 2])
  await client.settle()
  for (const id of ['a', 'b', 'c']) t.equal(client.told(id).length, 2)
  await world.run('d')
  await client.settle()
  t.equal(client.told('d').length, 2)
  proveProcesses(client.messages)
})

t.test('[PROC-5] a gap that is told while the roll is being read is read for as well', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  const client = world.connect(null)
  await client.settle()
  world.feeds.holdReads()
  world.feeds.gap('alice')
  await client.settle()
  world.feeds.loses = 1
  await world.run('a')
  world.feeds.gap('alice')
  world.feeds.releaseReads()
  await client.settle()
  t.equal(client.told('a').length, 2)
})

t.test('[PROC-5] what is announced while a roll is read that is older than it', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  const client = world.connect(null)
  await client.settle()
  world.feeds.holdReads()
  world.feeds.gap('alice')
  await client.settle()
  world.feeds.loses = 1
  await world.run('a')
  await world.run('b')
  world.feeds.releaseReads()
  await client.settle()
  for (const id of ['a', 'b']) t.equal(client.told(id).length, 2, id)
})

t.test('[PROC-5] a roll that cannot be read is tried again until it can', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  const client = world.connect(null)
  await client.settle()
  world.feeds.failsReads = true
  world.feeds.loses = 1
  await world.run('a')
  world.feeds.gap('alice')
  await client.settle()
  world.clock.advance(1500)
  await client.settle()
  t.same(client.told('a'), [])
  world.feeds.failsReads = false
  world.clock.advance(500)
  await client.settle()
  t.equal(client.told('a').length, 2)
  t.equal(client.transport.closedWith, undefined)
})

t.test('[PROC-4] two tabs get the same, and another user nothing', async (t) => {
  const world = new HubWorld()
  const [a, b, bob] = [world.connect(null), world.connect(null), world.connect(null, { token: 'bob' })]
  await world.settle()
  await world.run('x')
  await world.run('y')
  await world.settle()
  await world.broker.tick('x', 10)
  await world.end('y')
  await world.end('x')
  await world.settle()
  t.same(a.messages.slice(1), b.messages.slice(1))
  t.equal(a.messages.length, 8)
  t.equal(a.transport.writes.at(-1)?.[0], b.transport.writes.at(-1)?.[0], 'one frame for both')
  t.match(bob.messages, [{ type: 'process_list', processes: [], recent: [] }])
})

t.test('[PROC-4] [JOB-3] an id that has passed to another owner is not shown, before and after it was followed', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  await world.broker.run('taken', 'bob')
  await world.feeds.announce('alice', 'taken')
  await world.run('mine')
  const client = world.connect(null)
  await client.settle()
  t.same(idsOf(listOf(client).processes), ['mine'])
  world.policy.mayView = () => false
  world.broker.server = '-2'
  world.broker.gap('mine')
  await client.settle()
  t.match(client.messages.slice(1), [{ type: 'unsubscribed', process_id: 'mine', code: 'not_found' }])
  await world.broker.tick('mine', 50)
  await client.settle()
  t.equal(client.messages.length, 2)
})

t.test('[PROC-4] an id that passes to another owner while the list is being made is not in it', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  await world.run('b')
  const other = world.connect('a')
  await world.settle()
  world.broker.holdReads()
  const client = world.connect(null)
  await client.settle()
  // `a` is at hand on this node; the list waits for `b`.
  const { mayView } = world.policy
  world.policy.mayView = (identity, owner) => other.transport.closedWith === undefined && mayView(identity, owner)
  other.session.close('done')
  world.broker.releaseReads()
  world.broker.server = '-2'
  world.broker.gap('a')
  await client.settle()
  t.same(idsOf(listOf(client).processes), [])
})

t.test('[PROC-6] subscribe: the state, what belongs to it, then live; also of what has ended', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  await world.broker.tick('a', 10)
  await world.fail('a')
  const client = world.connect(null)
  await client.settle()
  client.ask({ type: 'subscribe', process_id: 'a' })
  await client.settle()
  t.match(client.messages.slice(1), [
    { type: 'subscribed', process_id: 'a', seq: 4, recovered: false, process: { status: 'failed', seq: 4 } },
    { type: 'process_progress', seq: 3 },
    { type: 'process_failed', seq: 4 },
  ])
  await world.retry('a')
  await client.settle()
  t.match(client.messages.at(-1), { type: 'process_queued', seq: 5 })
  proveProcesses(client.messages)
})

t.test('[PROC-6] subscribe with a position: exactly what was missed, or the whole state', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  const client = world.connect(null)
  await client.settle()
  const [{ epoch }] = listOf(client).processes
  for (const percent of [10, 20]) await world.broker.tick('a', percent)
  await world.broker.metric('a', 'm')
  await world.broker.status('a', 'cancelling')
  await client.settle()
  client.ask({ type: 'subscribe', process_id: 'a', after: 2, epoch })
  await client.settle()
  t.match(client.messages.slice(-3), [
    { type: 'subscribed', recovered: true, seq: 6 },
    { type: 'process_progress', seq: 4 },
    { type: 'process_cancelling', seq: 6 },
  ])
  for (const position of [{ after: 2, epoch: 'another' }, { after: 7, epoch }, { after: 2 }, { epoch }]) {
    client.ask({ type: 'subscribe', process_id: 'a', ...position })
    await client.settle()
    t.match(client.messages.slice(-2), [
      { type: 'subscribed', recovered: false, seq: 6 },
      { type: 'process_progress', seq: 4 },
    ])
  }
  proveProcesses(client.messages)
})

t.test('[PROC-6] a subscribe takes over in one turn: nothing lost, nothing twice', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  const client = world.connect(null)
  await client.settle()
  const [{ epoch }] = listOf(client).processes
  client.transport.fill(100)
  await world.broker.status('a', 'cancelling')
  client.ask({ type: 'subscribe', process_id: 'a', after: 2, epoch })
  await client.settle()
  await world.end('a')
  await client.settle()
  client.transport.drain()
  await client.settle()
  t.same(client.told('a'), [
    ['subscribed', 3],
    ['process_cancelling', 3],
    ['process_completed', 4],
  ])
  proveProcesses(client.messages)
})

t.test('[PROC-6] what is asked before the list is there waits for it', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  world.feeds.holdReads()
  const client = world.connect(null)
  await client.settle()
  client.ask({ type: 'subscribe', process_id: 'a' })
  client.ask({ type: 'unsubscribe', process_id: 'a' })
  client.ask({ type: 'subscribe', process_id: 'a' })
  await client.settle()
  world.feeds.releaseReads()
  await client.settle()
  t.equal(client.messages[0].type, 'process_list')
  await world.broker.tick('a', 10)
  await client.settle()
  t.equal(client.told('a').filter(([type]) => type === 'process_progress').length, 1)
  client.session.ended()
  t.same(await world.leaks(), [])
})

t.test('[PROC-6] unsubscribe: nothing more of it comes, however it is asked', async (t) => {
  const world = new HubWorld({ quietMs: 1000 })
  await world.run('a')
  await world.run('b')
  const client = world.connect(null)
  await client.settle()
  client.transport.fill(100)
  await world.broker.tick('a', 10)
  client.ask({ type: 'unsubscribe', process_id: 'a' })
  await client.settle()
  client.transport.drain()
  world.clock.advance(1000)
  await client.settle()
  await world.broker.tick('a', 20)
  await world.broker.tick('b', 20)
  await world.fail('a')
  await world.retry('a')
  await client.settle()
  t.same(client.told('a'), [['unsubscribed', undefined]])
  t.same(client.told('b'), [['process_progress', 3]])
  client.ask({ type: 'subscribe', process_id: 'a' })
  await client.settle()
  t.match(client.messages.at(-1), { type: 'subscribed', process: { status: 'queued' } })
})

t.test('[PROC-6] subscribe and unsubscribe at once are done in the order of asking', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  const client = world.connect(null)
  await client.settle()
  client.ask({ type: 'unsubscribe', process_id: 'a' })
  client.ask({ type: 'subscribe', process_id: 'a' })
  client.ask({ type: 'unsubscribe', process_id: 'a' })
  await client.settle()
  t.equal(client.told('a').at(-1)?.[0], 'unsubscribed')
  await world.broker.tick('a', 10)
  await client.settle()
  t.equal(client.told('a').filter(([type]) => type === 'process_progress').length, 0)
  client.session.ended()
  t.same(await world.leaks(), [])
})

t.test('[PROC-6] unsubscribed while it is being opened', async (t) => {
  const world = new HubWorld()
  const client = world.connect(null)
  await client.settle()
  world.broker.holdReads()
  await world.run('a')
  await client.settle()
  client.ask({ type: 'unsubscribe', process_id: 'a' })
  await client.settle()
  world.broker.releaseReads()
  await client.settle()
  await world.broker.tick('a', 10)
  await client.settle()
  t.same(client.told('a'), [['unsubscribed', undefined]])
})

t.test('[PROC-6] [MSG-4] refused: an unknown process, one of another user, what is no id', async (t) => {
  const world = new HubWorld()
  await world.run('of-bob', 'bob')
  const client = world.connect(null)
  await client.settle()
  for (const process_id of ['unknown', 'of-bob', '', '123', 'a b']) {
    client.ask({ type: 'subscribe', process_id })
    await client.settle()
    t.match(client.messages.at(-1), { type: 'refused', request: 'subscribe', process_id, code: 'not_found' })
  }
  t.equal(client.transport.closedWith, undefined)
  client.session.ended()
  t.same(await world.leaks(), [])
})

t.test('[PROC-6] an admin may subscribe to anybody’s, and keeps it through its rounds', async (t) => {
  const world = new HubWorld()
  world.identities.set('root', { sub: 'root', role: 'admin', issuedAt: 0, expiresAt: world.clock.now() + 1e6 })
  world.identities.set('demoted', { sub: 'root', role: 'user', issuedAt: 0, expiresAt: world.clock.now() + 1e6 })
  world.policy.mayView = (identity, owner) => identity.sub === owner || identity.role === 'admin'
  await world.run('of-bob', 'bob')
  const root = world.connect(null, { token: 'root' })
  await root.settle()
  t.match(root.messages, [{ processes: [] }])
  root.ask({ type: 'subscribe', process_id: 'of-bob' })
  await root.settle()
  await world.fail('of-bob', 'bob')
  await root.settle()
  await world.retry('of-bob', 'bob')
  await root.settle()
  t.same(root.told('of-bob'), [
    ['subscribed', 2],
    ['process_failed', 3],
    ['process_queued', 4],
  ])
  root.ask({ type: 'auth', token: 'demoted' })
  await root.settle()
  t.match(root.messages.at(-1), { type: 'unsubscribed', process_id: 'of-bob', code: 'not_found' })
  await world.broker.status('of-bob', 'running', 2)
  await root.settle()
  t.equal(root.messages.at(-1).type, 'unsubscribed')
})

t.test('[PROC-7] cancel_process', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  const client = world.connect(null)
  await client.settle()
  client.ask({ type: 'cancel_process', process_id: 'a' })
  await client.settle()
  t.match(
    client.messages.filter(({ type }) => type === 'cancel_accepted'),
    [{ process_id: 'a', status: 'cancelling' }],
  )
  client.ask({ type: 'cancel_process', process_id: 'nothing' })
  await client.settle()
  t.match(client.messages.at(-1), { type: 'refused', request: 'cancel_process', process_id: 'nothing' })
})

t.test('[PROC-8] [SLOW-2] [SLOW-4] a dropped backlog is made good, final messages and all', async (t) => {
  const world = new HubWorld({ maxOutboxBytes: 4000 })
  for (const id of ['a', 'b']) await world.run(id)
  const client = world.connect(null)
  await client.settle()
  client.transport.fill(3500)
  for (let i = 0; i < 40; i += 1) await world.broker.tick('a', i)
  await world.broker.status('b', 'cancelling')
  await world.run('new')
  await world.fail('a')
  await client.settle()
  await world.fail('new')
  await client.settle()
  client.transport.drain()
  await client.settle()
  t.equal(listOf(client).resync, true)
  for (const id of ['a', 'new']) t.equal(client.told(id).filter(([type]) => type === 'process_failed').length, 1, id)
  t.equal(client.told('b').at(-1)?.[0], 'process_cancelling')
  await world.fail('b')
  await world.retry('a')
  await client.settle()
  t.equal(client.told('b').at(-1)?.[0], 'process_failed')
  t.equal(client.told('a').at(-1)?.[0], 'process_queued')
  proveProcesses(client.messages)
})

t.test('[PROC-8] what is announced while a backlog is being dropped is told with the resync', async (t) => {
  const world = new HubWorld({ maxOutboxBytes: 2000 })
  await world.run('a')
  const client = world.connect(null)
  await client.settle()
  client.transport.fill(3000)
  await world.broker.status('a', 'cancelling')
  await client.settle()
  await world.run('b')
  await client.settle()
  await world.end('b')
  await client.settle()
  client.ask({ type: 'subscribe', process_id: 'a' })
  await client.settle()
  t.equal(client.messages.length, 1, 'nothing got through yet')
  client.transport.drain()
  await client.settle()
  t.match(listOf(client), { resync: true, processes: [{ process_id: 'a' }], recent: [{ process_id: 'b' }] })
  t.same(client.told('b').at(-1), ['process_completed', 3])
  t.match(
    client.messages.filter(({ type, process_id }) => type === 'subscribed' && process_id === 'a'),
    [{ process: { status: 'cancelling' } }],
  )
  proveProcesses(client.messages)
  client.session.ended()
  t.same(await world.leaks(), [])
})

t.test('[PROC-8] a backlog that is dropped again in the middle of a resync', async (t) => {
  const world = new HubWorld({ maxOutboxBytes: 4000 })
  for (const id of ['a', 'b', 'c']) await world.run(id)
  const client = world.connect(null)
  await client.settle()
  const flood = async () => {
    client.transport.fill(4100)
    for (const id of ['a', 'b', 'c']) await world.broker.tick(id, 1)
    await client.settle()
  }
  await flood()
  world.feeds.holdReads()
  client.transport.drain()
  await client.settle()
  await world.run('d')
  await client.settle()
  await flood()
  world.broker.status('d', 'cancelling')
  await client.settle()
  world.feeds.releaseReads()
  await client.settle()
  client.transport.drain()
  await client.settle()
  for (const id of ['a', 'b', 'c', 'd']) await world.end(id)
  await client.settle()
  for (const id of ['a', 'b', 'c', 'd']) {
    t.equal(client.told(id).filter(([type]) => type === 'process_completed').length, 1, id)
  }
  proveProcesses(client.messages)
})

t.test('[PROC-8] [SLOW-2] a resync of many replays no more than one client may be made to wait for', async (t) => {
  const world = new HubWorld({ maxOutboxBytes: 8000 })
  const ids = Array.from({ length: 10 }, (_, i) => `j${i}`)
  for (const id of ids) await world.run(id)
  const client = world.connect(null)
  await client.settle()
  client.transport.fill(9000)
  for (const id of ids) {
    await world.broker.status(id, 'paused')
    await world.broker.status(id, 'running')
    await world.broker.status(id, 'cancelling')
    await world.end(id)
  }
  await client.settle()
  client.transport.drain()
  await client.settle()
  const opened = client.messages.filter(({ type }) => type === 'subscribed')
  t.equal(opened.length, 10, 'one resync is enough')
  t.equal(client.messages.filter(({ type }) => type === 'process_completed').length, 10)
  t.ok(opened.some(({ recovered }) => recovered) && opened.some(({ recovered }) => !recovered))
  proveProcesses(client.messages)
})

t.test('[PROC-9] a retry goes on in the same socket, also when it comes before the old end has left', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  await world.run('b')
  await world.fail('b')
  const client = world.connect(null)
  await client.settle()
  await world.fail('a')
  await client.settle()
  await world.retry('a')
  await client.settle()
  t.same(client.told('a'), [
    ['process_failed', 3],
    ['process_queued', 4],
  ])
  await world.retry('b')
  await client.settle()
  t.same(client.told('b'), [['process_queued', 4]], 'of a recent one the list has set the position')
  client.transport.fill(100)
  for (const round of [2, 3]) {
    await world.broker.status('a', 'running', round)
    await world.fail('a', 'alice', round)
    await world.retry('a', 'alice', round + 1)
  }
  await client.settle()
  client.transport.drain()
  await client.settle()
  t.same(
    client.told('a').map(([, seq]) => seq),
    [3, 4, 5, 6, 7, 8, 9, 10],
  )
  await world.broker.status('a', 'running', 4)
  await client.settle()
  t.same(client.told('a').at(-1), ['process_started', 11])
  proveProcesses(client.messages)
})

t.test('[PROC-9] a retry whose entries are late on this node', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  await world.run('a')
  const client = world.connect(null)
  await client.settle()
  await world.fail('a')
  await client.settle()
  world.broker.loses = 1
  await world.retry('a')
  await client.settle()
  t.same(client.told('a').at(-1), ['process_queued', 4])
  await world.broker.status('a', 'running', 2)
  await client.settle()
  t.same(client.told('a').at(-1), ['process_started', 5])
  proveProcesses(client.messages)
})

t.test('[PROC-9] after a resync with the end of a process its next round goes on where the client is', async (t) => {
  const world = new HubWorld({ maxOutboxBytes: 2000 })
  await world.run('a')
  for (let i = 0; i < 60; i += 1) await world.broker.metric('a', 'm', i)
  const client = world.connect(null)
  await client.settle()
  client.transport.fill(3000)
  for (let i = 0; i < 60; i += 1) await world.broker.metric('a', 'm', i)
  await world.fail('a')
  await client.settle()
  client.transport.drain()
  await client.settle()
  t.equal(client.snapshot.recovered, false)
  await world.retry('a')
  await client.settle()
  t.equal(client.told('a').filter(([type]) => type === 'process_queued').length, 1)
  t.equal(client.told('a').at(-1)?.[0], 'process_queued')
  proveProcesses(client.messages)
})

t.test('[PROC-2] a job that ends while it is being opened, and the roll that still names it', async (t) => {
  const world = new HubWorld({ quietMs: 1000 })
  const client = world.connect(null)
  await client.settle()
  world.broker.holdReads()
  await world.run('a')
  await client.settle()
  await world.broker.end('a')
  world.broker.releaseReads()
  await client.settle()
  for (let i = 0; i < 3; i += 1) {
    world.clock.advance(1000)
    await client.settle()
  }
  t.same(client.told('a'), [
    ['process_queued', 1],
    ['process_started', 2],
    ['process_completed', 3],
  ])
})

t.test('[POS-6] another Redis answers: each process is opened anew in the new epoch', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  const client = world.connect(null)
  await client.settle()
  world.broker.server = '-2'
  world.broker.gap('a')
  await client.settle()
  t.match(client.messages.slice(1), [{ type: 'subscribed', process_id: 'a', recovered: false, epoch: /-2$/ }])
  await world.broker.tick('a', 10)
  await client.settle()
  proveProcesses(client.messages)
})

t.test('[PROC-6] a process that has expired is said to be gone, and its id may come again', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  await world.run('a')
  const client = world.connect(null)
  await client.settle()
  const { memory } = world.broker
  const read = memory.read.bind(memory)
  memory.read = async () => null
  world.broker.gap('a')
  await client.settle()
  t.match(client.messages.slice(1), [{ type: 'unsubscribed', process_id: 'a', code: 'not_found' }])
  memory.read = read
  await world.feeds.announce('alice', 'a', true)
  await client.settle()
  t.equal(client.transport.closedWith, undefined)
  client.session.ended()
  t.same(await world.leaks(), [])
})

t.test('[PROC-1] more active processes than a client may follow: the newest, and the others as there is room', async (t) => {
  const world = new HubWorld({ quietMs: 1e9 })
  for (let i = 0; i < 5; i += 1) await world.run(`j${i}`)
  const client = world.connect(null, { maxSubscriptions: 3 })
  await client.settle()
  t.same(idsOf(listOf(client).processes), ['j4', 'j3', 'j2'])
  await world.run('j5')
  await client.settle()
  client.ask({ type: 'subscribe', process_id: 'j0' })
  await client.settle()
  t.match(client.messages.at(-1), { type: 'refused', code: 'rate_limited' })
  t.equal(client.messages.length, 2)
  await world.end('j3')
  await client.settle()
  t.equal(client.told('j3').at(-1)?.[0], 'process_completed')
  t.equal(client.told('j5').length, 2, 'the newest of those that waited')
  t.same([...client.told('j0'), ...client.told('j1')].length, 1, 'the others wait on')
  proveProcesses(client.messages)
})

t.test('nothing of a session is left, whenever it ends', async (t) => {
  const steps: ((world: HubWorld, client: HubClient) => void | Promise<void>)[] = [
    (world) => world.feeds.releaseReads(),
    (world) => world.broker.releaseReads(),
    (world) => world.broker.holdReads(),
    (world) => world.run('announced'),
    (_world, client) => client.ask({ type: 'subscribe', process_id: 'ended' }),
    (_world, client) => client.ask({ type: 'subscribe', process_id: 'a' }),
    (world) => world.broker.releaseReads(),
    (_world, client) => client.transport.fill(5000),
    async (world) => {
      await world.broker.status('a', 'cancelling')
    },
    (world) => {
      world.feeds.holdReads()
      world.broker.holdReads()
    },
    (_world, client) => client.transport.drain(),
    (world) => world.feeds.releaseReads(),
    (world) => world.broker.releaseReads(),
  ]
  for (let end = 0; end <= steps.length; end += 1) {
    const world = new HubWorld({ maxOutboxBytes: 4000 })
    for (const id of ['a', 'b', 'ended']) await world.run(id)
    await world.end('ended')
    world.feeds.holdReads()
    world.broker.holdReads()
    const client = world.connect(null)
    await client.settle()
    for (const [i, step] of steps.entries()) {
      if (i === end) client.session.ended()
      await step(world, client)
      await client.settle()
    }
    if (end === steps.length) client.session.ended()
    const { length } = client.messages
    await world.end('a')
    t.same(await world.leaks(), [], `ended before step ${end}`)
    t.equal(client.messages.length, length)
    t.same(client.faults, [])
  }
})

t.test('nothing of a session is left where Redis cannot be asked for the list, or for a part of it', async (t) => {
  for (const part of ['feeds', 'jobs', 'one job'] as const) {
    const world = new HubWorld()
    for (const id of ['a', 'b']) await world.run(id)
    await world.end('b')
    const { read } = world.broker
    if (part === 'feeds') world.feeds.failsReads = true
    else world.broker.failsReads = part === 'jobs'
    if (part === 'one job') {
      world.broker.read = (id, since) => {
        world.broker.failsReads = id === 'b'
        return read.call(world.broker, id, since)
      }
    }
    const client = world.connect(null)
    await client.settle()
    t.equal(client.transport.closedWith, 'overloaded', part)
    t.same(await world.leaks(), [], part)
  }
})
