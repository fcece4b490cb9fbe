import t, { type Test } from 'tap'
import { StoreClock } from '../../src/core/store-clock.js'
import { StoreHealth } from '../../src/storage/redis/store-health.js'

/** A health whose clocks and store are turned by hand. */
function setUp(t: Test) {
  const world = { elapsed: 0, wall: 1_000_000, store: 1_000_000, fault: null as Error | null }
  const lines: string[] = []
  const tell = (_fields: object, text: string) => lines.push(text)
  const health = new StoreHealth({
    lockMs: 10_000,
    log: { info: tell, warn: tell },
    clock: new StoreClock({ elapsed: () => world.elapsed, wallClock: () => world.wall }),
  })
  void health.begin(async () => {
    if (world.fault) throw world.fault
    return world.store
  })
  t.teardown(() => health.close())
  const pass = async (ms: number) => {
    world.elapsed += ms
    await health.look()
  }
  return { health, world, lines, pass }
}

t.test('nobody is judged until the store has taken writes for longer than a lock lives', async (t) => {
  const { health, world, lines, pass } = setUp(t)
  await pass(0)
  t.equal(health.mayJudge, true)
  world.fault = Object.assign(new Error('OOM command not allowed'), { name: 'ReplyError' })
  for (let i = 0; i < 25; i += 1) await pass(1000)
  t.match(health, { reason: 'store_full', mayJudge: false, isLocal: false })
  world.fault = null
  for (let i = 0; i <= 10; i += 1) {
    await pass(1000)
    t.equal(health.mayJudge, false, `${i} s after it came back`)
  }
  await pass(1000)
  t.equal(health.mayJudge, true)
  t.equal(lines.length, 2, 'one line for each change')
  await pass(8000)
  t.equal(health.mayJudge, false, 'a process that stood still has not seen what happened meanwhile')
})

t.test('a clock that is not that of Redis is told once for each change', async (t) => {
  const { health, world, lines, pass } = setUp(t)
  await pass(1000)
  t.equal(health.isInStep, true)
  world.wall += 7_200_000
  for (let i = 0; i < 3; i += 1) await pass(1000)
  t.equal(health.isInStep, false)
  world.wall -= 7_200_000
  await pass(1000)
  t.equal(health.isInStep, true)
  t.equal(lines.length, 2)
})
