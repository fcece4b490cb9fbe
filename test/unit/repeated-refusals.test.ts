import t from 'tap'
import { DEFAULT_REFUSAL_DELAYS, RepeatedRefusals } from '../../src/hub/guards/repeated-refusals.js'
import { HubWorld } from '../support/hub-client.js'
import { ManualClock } from '../support/manual.js'

function setUp(delays: Partial<typeof DEFAULT_REFUSAL_DELAYS> = {}) {
  const clock = new ManualClock()
  const refusals = new RepeatedRefusals(clock, { ...DEFAULT_REFUSAL_DELAYS, ...delays })
  /** How long a refusal takes, in s. */
  const delayOf = (address = 'a', client = 'token') => {
    let isTold = false
    refusals.refuse(address, client, () => {
      isTold = true
    })
    for (let s = 0; s <= 10; s += 1) {
      if (isTold) return s
      clock.advance(1000)
    }
    return Number.POSITIVE_INFINITY
  }
  return { clock, refusals, delayOf }
}

t.test('[CONN-11] refusals of one client in a row are told later and later, up to a bound', async (t) => {
  const { clock, refusals, delayOf } = setUp()
  const many = (count: number) => Array.from({ length: count }, () => delayOf())
  t.same(many(9), [0, 0, 0, 1, 2, 4, 8, 8, 8])
  t.same([delayOf('b'), delayOf('a', 'another token')], [0, 0], 'others are not concerned')
  clock.advance(60_000)
  t.same(many(4), [0, 0, 0, 1], 'a minute without one')
  refusals.forget('a', 'token')
  t.same(many(4), [0, 0, 0, 1], 'it was let in')
})

t.test('[CONN-11] no more sockets are held than the bounds, and one that is gone is held no longer', async (t) => {
  const { clock, refusals } = setUp({ free: 0, maxHeld: 5, maxHeldPerAddress: 3 })
  const told: string[] = []
  const refuse = (address: string, client: string) => refusals.refuse(address, client, () => told.push(`${address}${client}`))
  const cancels = ['1', '2', '3', '4'].map((client) => refuse('a', client))
  t.same(told, ['a4'], 'the fourth of an address is told at once')
  cancels[0]?.()
  refuse('a', '5')
  t.same(told, ['a4'])
  for (const client of ['1', '2', '3']) refuse('b', client)
  t.same(told, ['a4', 'b3'], 'the sixth of all')
  clock.advance(1000)
  t.same(told.toSorted(), ['a2', 'a3', 'a4', 'a5', 'b1', 'b2', 'b3'])
  refuse('c', '1')
  refusals.release()
  t.equal(told.at(-1), 'c1', 'a node that closes holds nobody')
  t.equal(clock.pendingTimers, 0)
})

t.test('[CONN-11] the memory for clients is bounded', async (t) => {
  const { refusals } = setUp({ maxClients: 100 })
  for (let i = 0; i < 1000; i += 1) refusals.refuse('a', `${i}`, () => {})
  t.equal(refusals.size, 100)
})

t.test('[CONN-11] a session is held until its refusal is told, reads nothing meanwhile and has no place', async (t) => {
  const world = new HubWorld()
  const refusals = new RepeatedRefusals(world.clock)
  world.refusals = {
    refuse: (token, tell) => refusals.refuse('a', token, tell),
    forget: (token) => refusals.forget('a', token),
  }
  let places = 0
  Object.assign(world.policy, {
    enter: async () => {
      places += 1
      return () => {
        places -= 1
      }
    },
  })
  const cases = [
    { job: 'nothing', token: 'alice', code: 'not_found' },
    { job: null, token: 'nobody', code: 'unauthenticated' },
  ]
  for (const { job, token, code } of cases) {
    const connect = async () => {
      const client = world.connect(job, { token })
      await client.settle()
      return client
    }
    for (let i = 0; i < 3; i += 1) t.equal((await connect()).transport.closedWith, code)
    const held = await connect()
    held.ask({ type: 'ping' })
    held.ask({ type: 'auth', token: 'bob' })
    await held.settle()
    t.same([held.transport.closedWith, held.messages, places], [undefined, [], 0])
    world.clock.advance(1000)
    t.equal(held.transport.closedWith, code)
    const gone = await connect()
    gone.session.ended()
    world.clock.advance(10_000)
    t.equal(gone.transport.closedWith, undefined)
  }
  await world.broker.run('j')
  t.match((await world.connect('j')).transport.closedWith, undefined)
  await world.settle()
  const again = world.connect('nothing', { token: 'alice' })
  await again.settle()
  t.equal(again.transport.closedWith, 'not_found', 'a client that was let in begins anew')
})
