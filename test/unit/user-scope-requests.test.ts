import t from 'tap'
import { HubWorld } from '../support/hub-client.js'
import { listOf, proveProcesses } from '../support/process-proof.js'

t.test('[PROC-6] subscribe: the state, what belongs to it, then live; also of what has ended', async (t) => {
  const world = new HubWorld()
  await world.run('a')
  await world.broker.progress('a', 10)
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
  for (const percent of [10, 20]) await world.broker.progress('a', percent)
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
  t.same(client.eventsOf('a'), [
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
  await world.broker.progress('a', 10)
  await client.settle()
  t.equal(client.eventsOf('a').filter(([type]) => type === 'process_progress').length, 1)
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
  await world.broker.progress('a', 10)
  client.ask({ type: 'unsubscribe', process_id: 'a' })
  await client.settle()
  client.transport.drain()
  world.clock.advance(1000)
  await client.settle()
  await world.broker.progress('a', 20)
  await world.broker.progress('b', 20)
  await world.fail('a')
  await world.retry('a')
  await client.settle()
  t.same(client.eventsOf('a'), [['unsubscribed', undefined]])
  t.same(client.eventsOf('b'), [['process_progress', 3]])
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
  t.equal(client.eventsOf('a').at(-1)?.[0], 'unsubscribed')
  await world.broker.progress('a', 10)
  await client.settle()
  t.equal(client.eventsOf('a').filter(([type]) => type === 'process_progress').length, 0)
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
  await world.broker.progress('a', 10)
  await client.settle()
  t.same(client.eventsOf('a'), [['unsubscribed', undefined]])
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
  t.same(root.eventsOf('of-bob'), [
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
  await world.feeds.add('alice', 'a', true)
  await client.settle()
  t.equal(client.transport.closedWith, undefined)
  client.session.ended()
  t.same(await world.leaks(), [])
})
