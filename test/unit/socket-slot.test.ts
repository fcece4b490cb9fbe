import t from 'tap'
import { SocketSlots } from '../../src/hub/guards/socket-slots.js'
import { RuncastError } from '../../src/protocol/codes.js'
import type { Admission } from '../../src/storage/admission.js'
import { HubWorld } from '../support/hub-client.js'

/** A hub with this many slots per user. */
function setUp(slots: number) {
  const taken = new Set<string>()
  const state = { isReachable: true }
  const admission: Admission = {
    enter: async (_sub, id) => {
      if (!state.isReachable) throw new RuncastError('overloaded')
      return taken.has(id) || (taken.size < slots && taken.add(id) !== null)
    },
    leave: async (_sub, id) => void taken.delete(id),
    leaveAll: async () => taken.clear(),
    close: () => {},
  }
  const world = new HubWorld()
  const all = new SocketSlots(admission)
  const enter = async (identity: { sub: string }, probe: () => Promise<boolean>) => {
    const leave = await all.enter(identity.sub, probe)
    if (!leave) throw new RuncastError('too_many_sockets')
    return leave
  }
  Object.assign(world.policy, { enter })
  const connect = async () => {
    const client = world.connect(null)
    await world.settle()
    return client
  }
  const advance = async (ms: number) => {
    world.clock.advance(ms)
    await world.settle()
  }
  return { world, connect, advance, taken, state }
}

for (const aheadMs of [0, -1800_000, 1800_000])
  t.test(`[LIMIT-1] a new socket displaces a deaf one and no other; clock set by ${aheadMs} ms`, async (t) => {
    const { world, connect, advance, taken } = setUp(2)
    const [cut, living] = [await connect(), await connect()]
    await advance(2000)
    world.clock.set(aheadMs)
    const late = await connect()
    t.same([cut.transport.pings, living.transport.pings], [1, 1], 'both are asked')
    living.session.touch()
    await advance(2999)
    t.same(late.messages, [], 'not before the time to answer is over')
    await advance(1)
    t.match(late.messages, [{ type: 'process_list' }])
    t.equal(taken.size, 2)
    cut.session.touch()
    await advance(0)
    for (const { session } of [living, late]) session.touch()
    await advance(0)
    t.equal(cut.transport.closedWith, 'too_many_sockets', 'it comes back too late')
    t.same(
      [living, late].map(({ transport }) => transport.closedWith),
      [undefined, undefined],
    )
  })

t.test('[LIMIT-1] where all answer a new socket is refused at once', async (t) => {
  const { connect, advance } = setUp(2)
  const clients = [await connect(), await connect()]
  await advance(2000)
  const late = await connect()
  for (const { session } of clients) session.touch()
  await advance(0)
  t.equal(late.transport.closedWith, 'too_many_sockets')
  const again = await connect()
  t.equal(again.transport.closedWith, 'too_many_sockets', 'who has just been heard is not asked')
  t.same(
    clients.map(({ transport }) => transport.pings),
    [1, 1],
  )
})

t.test('[LIMIT-1] a socket that is silent holds no slot until it answers again', async (t) => {
  const { connect, advance, taken } = setUp(1)
  const client = await connect()
  await advance(15_000)
  t.equal(client.transport.pings, 1)
  await advance(3000)
  t.equal(taken.size, 0)
  client.session.touch()
  await advance(0)
  t.equal(taken.size, 1)
  t.equal(client.transport.closedWith, undefined)
  client.session.ended()
  await advance(0)
  t.equal(taken.size, 0)
})

t.test('[LIMIT-1] a slow reader, and a client of a node that drains, keep their slots', async (t) => {
  const { connect, advance, taken } = setUp(2)
  const slow = await connect()
  slow.transport.fill(64 * 1024)
  const moving = await connect()
  moving.session.drain(0, 60_000)
  await advance(20_000)
  t.equal(taken.size, 2)
})

t.test('[LIMIT-1] while slots cannot be counted, a returning client continues without one', async (t) => {
  const { connect, advance, taken, state } = setUp(1)
  const client = await connect()
  await advance(18_000)
  state.isReachable = false
  client.session.touch()
  await advance(0)
  t.equal(client.transport.closedWith, undefined)
  state.isReachable = true
  client.session.touch()
  await advance(0)
  t.equal(taken.size, 1)
})

t.test('[LIMIT-1] a session that ends while it is asked leaves no timer behind', async (t) => {
  const { world, connect, advance } = setUp(1)
  const client = await connect()
  await advance(2000)
  const late = await connect()
  client.session.ended()
  await advance(0)
  t.match(late.messages, [{ type: 'process_list' }])
  late.session.ended()
  t.same(await world.leaks(), [])
})
