import t, { type Test } from 'tap'
import { exampleInput } from '../../src/kinds/run/example.js'
import { eventually } from '../support/eventually.js'
import { SECRET } from '../support/harness.js'
import { startTestRedis } from '../support/redis.js'
import { Asking } from './cluster/asking.js'
import { Users } from './cluster/clients.js'
import { Cluster } from './cluster/cluster.js'
import { badEnds } from './cluster/deployment.js'
import { type KubeObject, workloadNamed } from './objects.js'
import { render } from './render.js'

/** Some ten seconds of computing, and more than the grace period that the test gives. */
const LONG = { ...exampleInput(401), mesh: { elements_x: 24, elements_y: 96 } }

/** So that the job of a dead worker is taken by another one soon. */
const ENV = { WORKER_LOCK_MS: '5000' }

/** A cluster of an overlay with a change in it, and pods of the named workloads; its Redis is one of the test's. */
async function openExternal(
  t: Test,
  names: readonly string[],
  change: (objects: KubeObject[]) => void,
  env: Readonly<Record<string, string>> = {},
) {
  const redis = await startTestRedis(t)
  const objects = await render('external-redis')
  change(objects)
  const secrets = { 'runcast-jwt': { 'jwt-secret': SECRET }, 'runcast-redis': { 'redis-url': redis.url } }
  const cluster = await Cluster.open(t, objects, { secrets, env: { ...ENV, ...env } })
  const [first] = await Promise.all(names.map((name) => cluster.apply(name)))
  if (!first) throw new RangeError('nothing to start')
  return { cluster, deployment: first, users: new Users(cluster.address('runcast-hub'), SECRET) }
}

function podOf(objects: readonly KubeObject[], name: string) {
  // biome-ignore lint/suspicious/noExplicitAny: what is changed here is read-only elsewhere
  return workloadNamed(objects, name).spec.template.spec as any
}

// That nobody is refused with both is in the test of the rollout.
t.test('without preStop, connections come to a hub that is gone', async (t) => {
  const change = (objects: KubeObject[]) => {
    delete podOf(objects, 'runcast-hub').containers[0].lifecycle
  }
  // What a hub waits by itself would be enough for services as quick as those of this cluster.
  const { cluster, deployment, users } = await openExternal(t, ['runcast-hub'], change, { DRAIN_MIN_MS: '0' })
  const asking = new Asking(users)
  await deployment.roll()
  await deployment.quiet()
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
  await deployment.quiet()
  t.ok((await asking.stop()).ECONNRESET)
  t.ok(cluster.proxy('runcast-hub').lost.refused > before)
})

t.test('with too short a grace period, a worker is killed and its job loses an attempt', async (t) => {
  const { cluster, users } = await openExternal(t, ['runcast-hub', 'runcast-solver'], (objects) => {
    podOf(objects, 'runcast-solver').terminationGracePeriodSeconds = 2
  })
  const solver = cluster.deployments.get('runcast-solver')
  const id = await users.submit('alice', LONG)
  await eventually(async () => (await users.call('alice', 'GET', `/api/v2/runs/${id}`)).body.status === 'running', { timeoutMs: 60_000 })
  await solver?.roll()
  await solver?.quiet()
  t.ok(solver && badEnds(solver).length > 0, 'killed')
  await eventually(async () => (await users.call('alice', 'GET', `/api/v2/runs/${id}`)).body.attempt === 2, { timeoutMs: 60_000 })
})
