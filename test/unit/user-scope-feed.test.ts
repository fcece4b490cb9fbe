import t from 'tap'
import { type HubClient, HubWorld } from '../support/hub-client.js'
import { proveProcesses } from '../support/process-proof.js'

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
  t.same(client.eventsOf('short'), whole)

  world.feeds.holdReads()
  const second = world.connect(null)
  await client.settle()
  await world.run('while-another-tab-opens')
  await world.end('while-another-tab-opens')
  world.feeds.releaseReads()
  await client.settle()
  for (const tab of [client, second]) t.same(tab.eventsOf('while-another-tab-opens'), whole)

  world.feeds.loses = 1
  await world.run('unheard')
  await world.end('unheard')
  world.clock.advance(10_000)
  await client.settle()
  for (const tab of [client, second]) {
    t.same(tab.eventsOf('unheard'), whole)
    proveProcesses(tab.messages)
  }
})

t.test('[PROC-5] lost index changes are found by the next one, by a gap, and by silence', async (t) => {
  const world = new HubWorld({ quietMs: 10_000 })
  const client = world.connect(null)
  await client.settle()
  world.feeds.loses = 1
  await world.run('a')
  await world.run('b')
  await client.settle()
  t.equal(client.eventsOf('a').length, 2, 'by the next one')
  world.feeds.loses = 1
  await world.run('c')
  world.feeds.gap('alice')
  await client.settle()
  t.equal(client.eventsOf('c').length, 2, 'by a gap')
  world.feeds.loses = 1
  await world.run('d')
  world.clock.advance(10_000)
  await client.settle()
  t.equal(client.eventsOf('d').length, 2, 'by silence')
  for (const id of ['a', 'b', 'c', 'd']) t.equal(client.eventsOf(id).length, 2, `${id} once`)
  proveProcesses(client.messages)
})

t.test('[PROC-5] index changes out of order, and again', async (t) => {
  const world = new HubWorld()
  const client = world.connect(null)
  await client.settle()
  world.feeds.holdAnnouncements()
  for (const id of ['a', 'b', 'c']) await world.run(id)
  world.feeds.releaseAnnouncements([2, 0, 0, 1, 2])
  await client.settle()
  for (const id of ['a', 'b', 'c']) t.equal(client.eventsOf(id).length, 2)
  await world.run('d')
  await client.settle()
  t.equal(client.eventsOf('d').length, 2)
  proveProcesses(client.messages)
})

t.test('[PROC-5] a gap that is told while the active-jobs index is being read is read for as well', async (t) => {
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
  t.equal(client.eventsOf('a').length, 2)
})

t.test('[PROC-5] what is announced while an active-jobs index is read that is older than it', async (t) => {
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
  for (const id of ['a', 'b']) t.equal(client.eventsOf(id).length, 2, id)
})

t.test('[PROC-5] an active-jobs index that cannot be read is tried again until it can', async (t) => {
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
  t.same(client.eventsOf('a'), [])
  world.feeds.failsReads = false
  world.clock.advance(500)
  await client.settle()
  t.equal(client.eventsOf('a').length, 2)
  t.equal(client.transport.closedWith, undefined)
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
