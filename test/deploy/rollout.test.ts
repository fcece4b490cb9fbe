import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { longHorn } from '../../src/cli/demo-horn.js'
import { eventually } from '../helpers/eventually.js'
import { SECRET } from '../helpers/harness.js'
import { startTestRedis } from '../helpers/redis.js'
import { type Follower, Users } from './cluster/clients.js'
import { Cluster } from './cluster/cluster.js'
import type { Deployment } from './cluster/deployment.js'
import { type KubeObject, workloadNamed } from './objects.js'
import { render } from './render.js'

const MIB = 2 ** 20
/** A user's jobs and sockets are limited: each job has a user of its own. */
const LONG_RUNS = 2
const LONG = { ...longHorn(401), mesh: { elements_x: 24, elements_y: 96 } }
const SHORT = longHorn(101)

/** Asks the service again and again, each time on a new connection, until it is told to stop: how often each answer came. */
class Asking {
  readonly outcomes = new Map<string, number>()
  readonly #over: Promise<void>
  #isOver = false

  constructor(users: Users) {
    this.#over = this.#ask(users)
  }

  async stop(): Promise<Record<string, number>> {
    this.#isOver = true
    await this.#over
    return Object.fromEntries(this.outcomes)
  }

  async #ask(users: Users): Promise<void> {
    while (!this.#isOver) {
      const outcome = await users.call('asker', 'GET', '/api/v2/runs').then(
        ({ status }) => `${status}`,
        (error: NodeJS.ErrnoException) => error.code ?? error.message,
      )
      this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1)
      await sleep(20)
    }
  }
}

/** A cluster of an overlay with a change in it, and pods of the named workloads; its Redis is one of the test's. */
async function openExternal(t: Test, names: readonly string[], change: (objects: KubeObject[]) => void = () => {}) {
  const redis = await startTestRedis(t)
  const objects = await render('external-redis')
  change(objects)
  const secrets = { 'runcast-jwt': { 'jwt-secret': SECRET }, 'runcast-redis': { 'redis-url': redis.url } }
  const cluster = await Cluster.open(t, objects, { secrets })
  const [first] = await Promise.all(names.map((name) => cluster.apply(name)))
  if (!first) throw new RangeError('nothing to start')
  return { cluster, deployment: first, users: new Users(cluster.address('runcast-hub'), SECRET) }
}

/** The pods that were not ended as they should be. */
function badEnds({ ends }: Deployment): string[] {
  return ends
    .filter(({ isKilled, code }) => isKilled || code !== 0)
    .map(({ name, isKilled, code }) => `${name} ${isKilled ? 'killed' : code}`)
}

/** What a follower got, beside what it was to get. */
async function wrongIn(users: Users, followers: readonly (Follower & { user: string })[]): Promise<object[]> {
  const wrong: object[] = []
  for (const { user, id, durables, since, over } of followers) {
    const { status, attempts } = await over
    const wanted = (await users.log(user, id)).filter((seq) => seq > since)
    if (status !== 'completed' || attempts !== 1 || durables.join() !== wanted.join())
      wrong.push({ id, status, attempts, durables, wanted, since })
  }
  return wrong
}

t.test(
  'hubs and workers rolled twice, then a hub killed: nothing is lost, nobody is refused, no pod is killed',
  { timeout: 240_000 },
  async (t) => {
    const objects = await render('single')
    const cluster = await Cluster.open(t, objects, { secrets: { 'runcast-jwt': { 'jwt-secret': SECRET } } })
    await cluster.apply('runcast-redis')
    const [hub, solver, benchmark] = await Promise.all(
      ['runcast-hub', 'runcast-solver', 'runcast-benchmark'].map((name) => cluster.apply(name)),
    )
    if (!hub || !solver || !benchmark) throw new RangeError('not all there')
    const users = new Users(cluster.address('runcast-hub'), SECRET)
    const idle = memoryOf(cluster)
    const followers: (Follower & { user: string })[] = []
    const follow = (user: string, id: string) => {
      for (const follower of [users.watch(user, id), users.watch(user, id), users.stream(user, id)])
        followers.push(Object.assign(follower, { user }))
    }
    t.teardown(() => {
      for (const follower of followers) follower.close()
    })

    const submit = async (user: string, input: object) => follow(user, await users.submit(user, input))
    for (let i = 0; i < LONG_RUNS; i += 1) await submit(`long-${i}`, LONG)
    const asking = new Asking(users)
    let isRolling = true
    const submitting = (async () => {
      for (let i = 0; isRolling; i += 1) {
        await submit(`short-${i}`, SHORT)
        await sleep(4000)
      }
    })()
    const begun = Date.now()
    for (let i = 0; i < 2; i += 1) await Promise.all([hub, solver, benchmark].map((deployment) => deployment.roll()))
    isRolling = false
    await submitting
    const outcomes = await asking.stop()
    const { lost } = cluster.proxy('runcast-hub')
    t.comment(`rolled twice in ${Date.now() - begun} ms; requests by answer: ${JSON.stringify(outcomes)}; ${JSON.stringify(lost)}`)
    t.same(Object.keys(outcomes), ['200'], 'every request was answered')
    t.same(lost, { refused: 0, nobody: 0 })
    for (const deployment of [hub, solver, benchmark]) {
      t.ok(deployment.ends.length >= deployment.all.length / 2)
      t.same(badEnds(deployment), [])
      t.ok(deployment.all.every(({ restarts }) => restarts === 0))
    }

    const [pod] = hub.ready
    pod?.crash()
    await eventually(() => pod?.restarts === 1)
    await hub.settled()
    await submit('after', SHORT)
    const wrong = await wrongIn(users, followers)
    t.same(wrong.slice(0, 3), [], 'every follower has every durable entry once, in order, and a job of one attempt')
    t.ok(followers.length > 20, `${followers.length} followers`)
    t.comment(`lost while a hub was dead: ${JSON.stringify(lost)}; idle ${idle}; at most ${memoryOf(cluster)}`)
  },
)

function memoryOf(cluster: Cluster): string {
  const figures = [...cluster.deployments].map(
    ([name, { all }]) => `${name} ${Math.ceil(Math.max(...all.map((pod) => pod.measure())) / MIB)} MiB`,
  )
  return figures.join(', ')
}

function podOf(objects: readonly KubeObject[], name: string) {
  // biome-ignore lint/suspicious/noExplicitAny: what is changed here is read-only elsewhere
  return workloadNamed(objects, name).spec.template.spec as any
}

t.test('without preStop, connections come to a hub that is gone', async (t) => {
  const { cluster, deployment, users } = await openExternal(t, ['runcast-hub'], (objects) => {
    delete podOf(objects, 'runcast-hub').containers[0].lifecycle
  })
  const asking = new Asking(users)
  await deployment.roll()
  t.ok((await asking.stop()).ECONNRESET)
  t.ok(cluster.proxy('runcast-hub').lost.refused > 0)
})

t.test('without readiness, connections come to a hub that is not there yet', async (t) => {
  const { cluster, deployment, users } = await openExternal(t, ['runcast-hub'], (objects) => {
    const { containers } = podOf(objects, 'runcast-hub')
    delete containers[0].readinessProbe
    delete containers[0].startupProbe
  })
  const before = cluster.proxy('runcast-hub').lost.refused
  const asking = new Asking(users)
  await deployment.roll()
  t.ok((await asking.stop()).ECONNRESET)
  t.ok(cluster.proxy('runcast-hub').lost.refused > before)
})

t.test('with both, nobody is refused', async (t) => {
  const { cluster, deployment, users } = await openExternal(t, ['runcast-hub'])
  const asking = new Asking(users)
  await deployment.roll()
  t.same(Object.keys(await asking.stop()), ['200'])
  t.same(cluster.proxy('runcast-hub').lost, { refused: 0, nobody: 0 })
  t.same(badEnds(deployment), [])
})

t.test('with too short a grace period, a worker is killed and its job loses an attempt', async (t) => {
  const { cluster, users } = await openExternal(t, ['runcast-hub', 'runcast-solver'], (objects) => {
    podOf(objects, 'runcast-solver').terminationGracePeriodSeconds = 2
  })
  const solver = cluster.deployments.get('runcast-solver')
  const id = await users.submit('alice', LONG)
  await eventually(async () => (await users.call('alice', 'GET', `/api/v2/runs/${id}`)).body.status === 'running')
  await solver?.roll()
  t.ok(solver && badEnds(solver).length > 0, 'killed')
  await eventually(async () => (await users.call('alice', 'GET', `/api/v2/runs/${id}`)).body.attempt === 2, { timeoutMs: 60_000 })
})
