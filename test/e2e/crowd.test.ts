import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import { random } from '../support/random.js'
import { startTestRedis } from '../support/redis.js'
import { drainOne, viewFromStore, Watcher, withoutFinal } from '../support/watcher.js'

const SEED = Number(process.env.CHAOS_SEED ?? Date.now() % 1e9)
const INPUT = { ...HORN, mesh: { elements_x: 10, elements_y: 50 }, sweep: { points: 61 } }

/** Every watcher has ended with the state that the hash holds; every durable entry once and in order; nothing after the final one. */
async function check(t: Test, harness: Harness, id: string, watchers: readonly Watcher[]): Promise<void> {
  const state = (await harness.nodes[0]?.hub.parts.broker.read(id))?.state
  const history = await harness.call('GET', `/api/v2/runs/${id}/events?limit=1000`)
  if (!state) throw new Error(`job ${id} is gone`)
  const logged: number[] = history.body.events.map(({ seq }: { seq: number }) => seq)
  t.equal(history.body.events.at(-1).type, 'completed')
  t.equal(history.body.events.filter(({ type }: { type: string }) => type === 'completed').length, 1)
  const wrong = watchers.filter(({ watch, persisted, since, messages }) => {
    const view = watch.view
    const isComplete = JSON.stringify(persisted) === JSON.stringify(logged.filter((seq) => seq > since))
    const isSame = view && JSON.stringify(sorted(withoutFinal(view))) === JSON.stringify(sorted(viewFromStore(state)))
    const last = messages.findLast((message) => !('recovered' in message))
    return !(isComplete && isSame && last?.type === 'completed')
  })
  t.same(
    wrong.map(({ watch, persisted, since, messages }) => ({ view: watch.view, persisted, since, logged, messages: messages.slice(-4) })),
    [],
    `all ${watchers.length} watchers of ${id} end right`,
  )
}

function sorted(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, field]) => [name, sorted(field)])
}

t.test(
  `[POS-2] [POS-4] [STATE-2] [DRAIN-2] ten runs, twenty clients each, over two nodes, cut off and told to move at random (CHAOS_SEED=${SEED})`,
  async (t) => {
    const next = random(SEED)
    const harness = await startHarness(t, { nodes: 2 })
    const ids = await Promise.all(Array.from({ length: 10 }, () => harness.submit({ input: INPUT })))
    const crowd = ids.map((id) => Array.from({ length: 20 }, () => new Watcher(harness, id, () => Math.floor(next() * 2))))
    const all = crowd.flat()
    const finished = Promise.all(all.map(({ watch }) => watch.finished()))
    let isOver = false
    let drains = 0
    const cutting = (async () => {
      while (!isOver) {
        if (next() < 0.6) all[Math.floor(next() * all.length)]?.cut()
        else drains += Number(drainOne(harness, next))
        await sleep(4) // the rhythm of the cuts; nothing is waited for
      }
    })()
    await finished
    isOver = true
    await cutting
    t.ok(all.reduce((sum, { connects }) => sum + connects, 0) > 300, 'they did reconnect')
    t.ok(drains > 50, `${drains} were told to move`)
    for (const [i, id] of ids.entries()) await check(t, harness, id, crowd[i] ?? [])
    t.same(harness.faults, [])
  },
)

t.test('[POS-7] the connections of the nodes to Redis are killed while runs are watched: nothing is lost', async (t) => {
  const harness = await startHarness(t, { redis: await startTestRedis(t), nodes: 2, env: { QUIET_MS: '500' } })
  const admin = new Redis(harness.redis.url)
  t.teardown(() => admin.disconnect())
  const ids = await Promise.all(Array.from({ length: 4 }, () => harness.submit({ input: { ...INPUT, sweep: { points: 121 } } })))
  const crowd = ids.map((id) => [0, 1, 0, 1].map((node) => new Watcher(harness, id, () => node)))
  await Promise.all(crowd.flat().map(({ watch }) => watch.until(() => true)))
  let isOver = false
  const finished = Promise.all(crowd.flat().map(({ watch }) => watch.finished())).then(() => {
    isOver = true
  })
  let kills = 0
  for (let round = 0; round < 30 && !isOver; round += 1) {
    kills += Number(await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub'))
    if (round % 3 === 0) kills += Number(await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))
    await sleep(100) // the rhythm of the kills; nothing is waited for
  }
  await finished
  t.ok(kills > 10, `${kills} connections were killed`)
  for (const [i, id] of ids.entries()) await check(t, harness, id, crowd[i] ?? [])
})
