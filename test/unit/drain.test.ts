import t from 'tap'
import { drain } from '../../src/hub/drain.js'
import type { Session } from '../../src/hub/session.js'
import { type HubClient, HubWorld } from '../support/hub-client.js'

/** A node with clients that follow a job; their sessions leave the set when they end, as on a server. */
async function setUp(count: number) {
  const world = new HubWorld()
  await world.broker.run('j')
  const clients = Array.from({ length: count }, () => world.connect('j'))
  await world.settle()
  const sessions = new Set<Session>(clients.map(({ session }) => session))
  const leave = (client: HubClient) => {
    client.session.ended()
    sessions.delete(client.session)
  }
  const forgetClosed = () => {
    for (const client of clients) if (client.transport.closedWith) sessions.delete(client.session)
  }
  /** Lets the time pass in steps in which everything under way arrives. */
  const pass = async (ms: number) => {
    for (let i = 0; i < 100; i += 1) {
      world.clock.advance(ms / 100)
      await world.settle()
      forgetClosed()
    }
  }
  return { world, clients, sessions, leave, pass }
}

t.test('[DRAIN-1] each client is told when to move, one after the other within 60 % of the window', async (t) => {
  const { world, clients, sessions, leave } = await setUp(100)
  const drained = drain(sessions, world.clock, 10_000, 0)
  await world.settle()
  const told = clients.map(({ messages }) => messages.at(-1))
  t.ok(told.every(({ type, deadline_ms }) => type === 'drain' && deadline_ms === 10_000))
  t.same(
    told.map(({ reconnect_in_ms }) => reconnect_in_ms),
    clients.map((_, i) => i * 60),
  )
  for (const client of clients) leave(client)
  world.clock.advance(200)
  await t.resolves(drained, 'a node that is empty does not wait')
  t.ok(clients.every(({ transport }) => transport.closedWith === undefined))
})

t.test('[DRAIN-4] an empty node is there for as long as it was told', async (t) => {
  const { world, sessions } = await setUp(0)
  let isOver = false
  const drained = drain(sessions, world.clock, 10_000, 2000).then(() => {
    isOver = true
  })
  await world.settle()
  world.clock.advance(1999)
  await world.settle()
  t.notOk(isOver)
  world.clock.advance(1)
  await drained
})

t.test('[DRAIN-3] who does not move is closed with 1012 after 80 % of the window, one after the other', async (t) => {
  const { world, clients, sessions, pass } = await setUp(50)
  let isOver = false
  const drained = drain(sessions, world.clock, 10_000, 0).then(() => {
    isOver = true
  })
  const closed = () => clients.filter(({ transport }) => transport.closedWith === 'restart').length
  await pass(7900)
  t.equal(closed(), 0)
  await world.broker.metric('j', 'on_the_way')
  await world.settle()
  t.ok(
    clients.every(({ messages }) => messages.at(-1).metric_name === 'on_the_way'),
    'until then they are served',
  )
  await pass(1100)
  const half = closed()
  t.ok(half > 10 && half < 40, `${half} of 50 at 9 s`)
  await pass(1200)
  t.equal(closed(), 50)
  await drained
  t.ok(isOver)
})

t.test('[DRAIN-3] a node without clients, or without a window, is drained at once', async (t) => {
  const none = await setUp(0)
  await t.resolves(drain(none.sessions, none.world.clock, 10_000, 0))
  const some = await setUp(3)
  await t.resolves(drain(some.sessions, some.world.clock, 0, 0))
  t.ok(some.clients.every(({ transport }) => transport.closedWith === 'restart'))
})
