import t from 'tap'
import { HubWorld } from '../support/hub-client.js'
import { idsOf, listOf, proveProcesses } from '../support/process-proof.js'

t.test('[PROC-1] the list names the active processes with their positions, newest first, and those that have ended', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  await world.broker.progress('a', 40)
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
  await world.broker.progress('a', 10)
  await world.broker.progress('b', 20)
  await world.end('b')
  await client.settle()
  t.same(client.eventsOf('a'), [['process_progress', 3]])
  t.same(client.eventsOf('b'), [
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
  t.same(client.eventsOf('a'), [
    ['process_queued', 1],
    ['process_started', 2],
  ])
  await world.broker.progress('a', 10)
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
  await world.broker.progress('a', 5)
  world.broker.releaseReads()
  await client.settle()
  t.same(idsOf(listOf(client).processes), ['a'])
  for (const id of ['b', 'c']) {
    t.same(client.eventsOf(id), [
      ['process_queued', 1],
      ['process_started', 2],
    ])
  }
  proveProcesses(client.messages)
})

t.test('[PROC-4] two tabs get the same, and another user nothing', async (t) => {
  const world = new HubWorld()
  const [a, b, bob] = [world.connect(null), world.connect(null), world.connect(null, { token: 'bob' })]
  await world.settle()
  await world.run('x')
  await world.run('y')
  await world.settle()
  await world.broker.progress('x', 10)
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
  await world.feeds.add('alice', 'taken')
  await world.run('mine')
  const client = world.connect(null)
  await client.settle()
  t.same(idsOf(listOf(client).processes), ['mine'])
  world.policy.mayView = () => false
  world.broker.server = '-2'
  world.broker.gap('mine')
  await client.settle()
  t.match(client.messages.slice(1), [{ type: 'unsubscribed', process_id: 'mine', code: 'not_found' }])
  await world.broker.progress('mine', 50)
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

t.test('[PROC-2] a job that ends while it is being opened, and the active-jobs index that still names it', async (t) => {
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
  t.same(client.eventsOf('a'), [
    ['process_queued', 1],
    ['process_started', 2],
    ['process_completed', 3],
  ])
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
  t.equal(client.eventsOf('j3').at(-1)?.[0], 'process_completed')
  t.equal(client.eventsOf('j5').length, 2, 'the newest of those that waited')
  t.same([...client.eventsOf('j0'), ...client.eventsOf('j1')].length, 1, 'the others wait on')
  proveProcesses(client.messages)
})
