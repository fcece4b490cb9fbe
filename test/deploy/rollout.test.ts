import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { longHorn } from '../../src/cli/demo-horn.js'
import { eventually } from '../helpers/eventually.js'
import { SECRET } from '../helpers/harness.js'
import { Asking } from './cluster/asking.js'
import { type Follower, Users } from './cluster/clients.js'
import { Cluster } from './cluster/cluster.js'
import { badEnds } from './cluster/deployment.js'
import { ofKind } from './objects.js'
import { render } from './render.js'

const MIB = 2 ** 20
/** A user's jobs and sockets are limited: each job has a user of its own. */
const LONG_RUNS = 1
const SHORT_RUNS = 6
const LONG = { ...longHorn(401), mesh: { elements_x: 24, elements_y: 96 } }
const SHORT = longHorn(101)

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
  { timeout: 285_000 },
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
    t.same(await queued(cluster), { benchmark: 0, optimization: 0, run: LONG_RUNS }, 'what KEDA would read')
    t.equal((await users.call('asker', 'GET', '/metrics')).status, 404, 'and nobody else')
    const asking = new Asking(users)
    let isRolling = true
    const submitting = (async () => {
      for (let i = 0; isRolling && i < SHORT_RUNS; i += 1) {
        await submit(`short-${i}`, SHORT)
        await sleep(4000)
      }
    })()
    const begun = Date.now()
    for (let i = 0; i < 2; i += 1) await Promise.all([hub, solver, benchmark].map((deployment) => deployment.roll()))
    await Promise.all([hub, solver, benchmark].map((deployment) => deployment.quiet()))
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
    t.ok(followers.length > 15, `${followers.length} followers`)
    t.comment(`lost while a hub was dead: ${JSON.stringify(lost)}; idle ${idle}; at most ${memoryOf(cluster)}`)
  },
)

/** Jobs that wait or are handed out, by queue: as the autoscalers of the workers read them, each trigger one line of the metrics. */
async function queued(cluster: Cluster): Promise<Record<string, number>> {
  const scaled = ofKind<{ triggers: { metadata: { valueLocation: string } }[] }>(await render('single', ['keda']), 'ScaledObject')
  // A hub answers from what it has read a moment ago.
  return eventually(async () => {
    const text = await (await fetch(`http://${cluster.address('runcast-hub-metrics')}/metrics`)).text()
    const sums: Record<string, number> = {}
    for (const { metadata } of scaled.flatMap(({ spec }) => spec.triggers)) {
      const lines = text.split('\n').filter((line) => line.startsWith(`${metadata.valueLocation} `))
      if (lines.length !== 1) throw new Error(`${lines.length} lines of ${metadata.valueLocation}`)
      const [, queue = ''] = metadata.valueLocation.match(/queue="([^"]+)"/) ?? []
      sums[queue] = (sums[queue] ?? 0) + Number(lines[0]?.split(' ').at(-1))
    }
    return sums.run === LONG_RUNS && sums
  })
}

function memoryOf(cluster: Cluster): string {
  const figures = [...cluster.deployments].map(
    ([name, { all }]) => `${name} ${Math.ceil(Math.max(...all.map((pod) => pod.measure())) / MIB)} MiB`,
  )
  return figures.join(', ')
}
