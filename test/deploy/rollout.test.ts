import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { exampleInput } from '../../src/kinds/run/example.js'
import { eventually } from '../support/eventually.js'
import { SECRET } from '../support/harness.js'
import { readExposition } from '../support/scraped.js'
import { Asking } from './cluster/asking.js'
import { type Follower, Users } from './cluster/clients.js'
import { Cluster } from './cluster/cluster.js'
import { badEnds } from './cluster/deployment.js'
import { ofKind } from './objects.js'
import { render } from './render.js'

const MIB = 2 ** 20
/** A user's jobs and sockets are limited: each job has a user of its own. */
const SHORT_RUNS = 3
const LONG = { ...exampleInput(401), mesh: { elements_x: 24, elements_y: 96 } }
const SHORT = exampleInput(101)
/** Of the whole, on a machine that has much else to do; in tap a file has some more. */
const TIMEOUT_MS = 570_000
/** Of what takes a moment. */
const SOON = { timeoutMs: 60_000 }
/** Shorter than a long run, so that a worker that is rolled hands it back. */
const ENV = { WORKER_FINISH_MS: '1000' }

/** What a follower got, beside what it was to get. */
async function wrongIn(users: Users, followers: readonly (Follower & { user: string })[]): Promise<object[]> {
  const wrong: object[] = []
  for (const { user, id, persisted, since, over } of followers) {
    const { status, attempts } = await over
    const wanted = (await users.log(user, id)).map(({ seq }) => seq).filter((seq) => seq > since)
    if (status !== 'completed' || attempts !== 1 || persisted.join() !== wanted.join())
      wrong.push({ id, status, attempts, persisted, wanted, since })
  }
  return wrong
}

t.test(
  'hubs and workers rolled twice, then a hub killed: nothing is lost, nobody is refused, no pod is killed',
  { timeout: TIMEOUT_MS },
  async (t) => {
    const objects = await render('single')
    const cluster = await Cluster.open(t, objects, { secrets: { 'runcast-jwt': { 'jwt-secret': SECRET } }, env: ENV })
    await cluster.apply('runcast-redis')
    const [hub, solver, benchmark] = await Promise.all(
      ['runcast-hub', 'runcast-solver', 'runcast-benchmark'].map((name) => cluster.apply(name)),
    )
    if (!hub || !solver || !benchmark) throw new RangeError('not all there')
    const users = new Users(cluster.address('runcast-hub'), SECRET)
    const idle = memoryOf(cluster)
    const followers: (Follower & { user: string })[] = []
    const submit = async (user: string, input: object) => {
      const id = await users.submit(user, input)
      for (const follower of [users.watch(user, id), users.stream(user, id)]) followers.push(Object.assign(follower, { user }))
      return id
    }
    const long = await submit('long', LONG)
    t.same(await queued(cluster), { benchmark: 0, optimization: 0, run: 1 }, 'what KEDA would read')
    t.equal((await users.call('asker', 'GET', '/metrics')).status, 404, 'and nobody else')
    await eventually(async () => (await users.call('long', 'GET', `/api/v2/runs/${long}`)).body.status === 'running', SOON)
    const asking = new Asking(users)
    let isRolling = true
    // Before the cluster ends: what still asks would hide why the test has failed.
    t.teardown(async () => {
      isRolling = false
      for (const follower of followers) follower.close()
      await Promise.allSettled([submitting, asking.stop()])
    })
    const submitting = (async () => {
      for (let i = 0; isRolling && i < SHORT_RUNS; i += 1) {
        await submit(`short-${i}`, SHORT)
        await sleep(4000)
      }
    })()
    submitting.catch(() => {})
    const begun = Date.now()
    for (const rolled of [
      [hub, solver, benchmark],
      [hub, solver],
    ])
      await Promise.all(rolled.map((deployment) => deployment.roll()))
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
      const restarted = deployment.all.filter(({ restarts }) => restarts > 0)
      t.same(
        restarted.map(({ restarts, said }) => ({ restarts, said })),
        [],
        'no process ended, and no liveness probe failed',
      )
    }
    const { told, cut } = users.moves
    t.ok(told > 0, `${told} sockets were asked to move to another hub before theirs went`)
    t.equal(cut, 0, 'and none was closed without that')
    const entries = await users.log('long', long)
    const handedBack = entries.slice(1).filter(({ status }) => status === 'queued').length
    t.ok(handedBack > 0, `${handedBack} times a worker that went has handed the long run back`)

    const [pod] = hub.ready
    pod?.crash()
    await eventually(() => pod?.restarts === 1, SOON)
    await hub.settled()
    await submit('after', SHORT)
    const wrong = await wrongIn(users, followers)
    t.same(wrong.slice(0, 3), [], 'every follower has every durable entry once, in order, and a job of one attempt')
    t.ok(followers.length > 8, `${followers.length} followers`)
    t.comment(`lost while a hub was dead: ${JSON.stringify(lost)}; idle ${idle}; at most ${memoryOf(cluster)}`)
  },
)

/** Jobs that may be handed out or are, by queue: as the autoscalers of the workers read them. KEDA takes the text apart, and of a metric the line that has all labels of the trigger. */
async function queued(cluster: Cluster): Promise<Record<string, number>> {
  const scaled = ofKind<{ triggers: { metadata: { valueLocation: string } }[] }>(await render('single', ['keda']), 'ScaledObject')
  // A hub answers from what it has read a moment ago.
  return eventually(async () => {
    const text = await (await fetch(`http://${cluster.address('runcast-hub-metrics')}/metrics`)).text()
    const { lines } = readExposition(text)
    const sums: Record<string, number> = {}
    for (const { metadata } of scaled.flatMap(({ spec }) => spec.triggers)) {
      const [, wanted = '', selector = ''] = metadata.valueLocation.match(/^(\w+)\{(.+)\}$/) ?? []
      const labels = [...selector.matchAll(/(\w+)="(\w+)"/g)].map(([, label = '', value = '']) => [label, value] as const)
      const found = lines.filter(({ name, labels: own }) => name === wanted && labels.every(([label, value]) => own[label] === value))
      if (labels.length < 2 || found.length !== 1) throw new Error(`${found.length} lines of ${metadata.valueLocation}`)
      const { queue = '' } = Object.fromEntries(labels)
      sums[queue] = (sums[queue] ?? 0) + (found[0]?.value ?? Number.NaN)
    }
    return sums.run === 1 && sums
  }, SOON)
}

function memoryOf(cluster: Cluster): string {
  const figures = [...cluster.deployments].map(
    ([name, { all }]) => `${name} ${Math.ceil(Math.max(...all.map((pod) => pod.measure())) / MIB)} MiB`,
  )
  return figures.join(', ')
}
