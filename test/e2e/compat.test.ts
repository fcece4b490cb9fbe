import { join } from 'node:path'
import t from 'tap'
import { RUNCAST, runcast, startCommand } from '../support/command.js'
import { eventually } from '../support/eventually.js'
import { proveProcesses } from '../support/process-proof.js'
import { comparable, HubUser, recordedKinds } from '../support/recorded.js'
import { sharedTestRedis } from '../support/redis.js'
import {
  buildEarlier,
  CLONE,
  EARLIER,
  earlierIsMissing,
  type ReleaseProcess,
  startReleaseHub,
  startReleaseWorker,
} from '../support/release.js'
import type { Message } from '../support/test-client.js'

// Where the earlier release has to be compiled, and its packages installed, first.
t.setTimeout(180_000)

const BAR = { material: 'ti-6al-4v', profile: 'uniform', width_mm: 25, height_mm: 126.71, thickness_mm: 25 }
const SEARCH = {
  base: BAR,
  variables: [{ name: 'height_mm', min: 120, max: 132 }],
  objectives: [{ metric: 'frequency_deviation_pct', direction: 'minimize' }],
  population: 4,
  generations: 3,
  parallel: 2,
}
const HELD = { steps: 3, held: true }

/** A message or a state without what an earlier hub does not send ([WORDS-1], [WORDS-6]). */
const asEarlier = ({ title: _title, parent_id: _parent, ...rest }: Message): Message => rest

/** The id of the process that a message is about. */
const idOf = ({ process_id, process }: Message): string | undefined => process_id ?? process?.process_id

/** Whether two runs were computed at the same time. */
function hasOverlap(messages: readonly Message[]): boolean {
  const running = new Set<string>()
  return messages.some(({ type, process_type, process_id }) => {
    if (type === 'process_started' && process_type === 'solver') running.add(process_id)
    if (/^process_(completed|failed|cancelled)$/.test(type)) running.delete(process_id)
    return running.size > 1
  })
}

t.test(`${EARLIER.version}: hubs and workers run beside those of today`, { skip: await earlierIsMissing() }, async (t) => {
  const redis = await sharedTestRedis()
  const earlier = await buildEarlier()
  const files = t.testdir({})
  const settingsOf = (root: string) => ({
    ...recordedKinds(root),
    // The earlier release knows neither of them.
    KINDS_FILE: join(CLONE, 'examples/python-training/kinds.json'),
    ARTIFACTS_DIR: files,
    REDIS_URL: redis.url,
    REDIS_PREFIX: redis.prefix,
    WORKER_LOCK_MS: '2000',
    SWEEP_INTERVAL_MS: '300',
    WORKER_CONCURRENCY: '1',
    COMPAT_HOLD: 'yes',
  })
  const startWorker = (root: string) => {
    const worker = startReleaseWorker(root, settingsOf(root))
    t.teardown(() => worker.kill())
    return worker
  }
  const earlierWorker = startWorker(earlier)
  const hubs: ReleaseProcess[] = []
  t.teardown(() => Promise.all(hubs.map((hub) => hub.kill())))
  // The earlier hub first, so that it is the one that sweeps.
  for (const root of [earlier, CLONE]) hubs.push(await startReleaseHub(root, settingsOf(root)))
  const users = hubs.map((hub) => new HubUser(hub))
  const [before, after] = users
  if (!before || !after || !hubs[1]) throw new Error('two hubs were started')
  const admin = new HubUser(hubs[1], 'operator', { role: 'admin' })
  const tabs = users.map((user) => user.socket('/ws'))
  t.teardown(() => {
    for (const tab of tabs) tab.terminate()
  })
  for (const tab of tabs) await tab.next('process_list')

  /** Submits a run at one hub, which is watched at the other one. */
  const runOver = async (from: HubUser, to: HubUser, run_id: string) => {
    await from.post('/api/v2/runs', { run_id, input: BAR })
    const socket = to.socket(`/api/v2/ws/runs/${run_id}`)
    t.match(await socket.next('completed'), { run_id, percent: 100, attempts: 1 })
    socket.terminate()
  }
  /** Starts a job at one hub that does not end by itself, and cancels it at the other one. */
  const cancelOver = async (from: HubUser, to: HubUser, walk_id: string) => {
    await from.post('/api/v2/walks', { walk_id, input: HELD })
    const socket = from.socket(`/api/v2/ws/walks/${walk_id}`)
    await eventually(() => socket.messages.some(({ seq }) => seq >= 5))
    await to.post(`/api/v2/walks/${walk_id}/cancel`)
    const cancelled = await socket.next('cancelled')
    t.notOk('forced' in cancelled, 'the worker obeyed')
    socket.terminate()
  }

  await t.test('jobs of both hubs run on the earlier worker', async () => {
    await Promise.all([runOver(after, before, 'new-old-old'), runOver(before, after, 'old-old-new')])
    await cancelOver(before, after, 'cancelled-on-old')
  })

  await t.test('[WORDS-4] words that change at today’s hub harm no viewer at the earlier one', async (t) => {
    await after.post('/api/v2/walks', { walk_id: 'named', input: HELD, title: 'first' })
    const viewers = users.map((user) => user.socket('/api/v2/ws/walks/named'))
    for (const viewer of viewers) await eventually(() => viewer.messages.some(({ seq }) => seq >= 5))
    await after.patch('/api/v2/walks/named', { title: 'second' })
    t.match(await viewers[1]?.next('words'), { walk_id: 'named', title: 'second' })
    await before.post('/api/v2/walks/named/cancel')
    for (const viewer of viewers) await viewer.next('cancelled')
    t.equal(viewers[0]?.all('words').length, 0)
    const seqs = viewers.map(({ messages }) => messages.flatMap(({ seq }) => seq ?? []))
    t.same(seqs[0]?.at(-1), seqs[1]?.at(-1))
    for (const viewer of viewers) viewer.terminate()
  })

  /** Posts events of a claim to the hub of today. */
  const poster = (user: HubUser, { id, round, token }: Message) => {
    let n = 0
    return (...events: object[]) => user.post(`/api/v2/jobs/${id}/events`, { round, token, n: ++n, events })
  }

  await t.test('[CLAIM-11] an owned job is shown by the earlier hub, and taken by no worker', async (t) => {
    const lease = await after.post('/api/jobs', { kind: 'run', id: 'owned', input: BAR, claim: true })
    const post = poster(after, lease)
    const viewer = before.socket('/api/v2/ws/runs/owned')
    t.match(await viewer.next('status'), { status: 'running', attempt: 1 })
    // The earlier worker has nothing else to do, and the earlier hub sweeps, before and after it runs another job.
    let epoch = 0
    let isOver = false
    const beside = runOver(after, before, 'beside-owned').finally(() => {
      isOver = true
    })
    for (; !isOver || epoch < 8; epoch += 1) {
      const metric = { type: 'metric_update', metric_name: 'loss', value: epoch, unit: '', step: epoch }
      await post(metric, { type: 'log', line: `epoch ${epoch}` })
      t.match(await viewer.next('metric_update'), { metric_name: 'loss', value: epoch })
      await viewer.silence(200)
    }
    await beside
    await post({ type: 'completed', metrics_summary: { loss: 0 } })
    t.match(await viewer.next('completed'), { metrics_summary: { loss: 0 }, attempts: 1 })
    t.equal(viewer.all('status').length, 1, 'nobody else has touched it')
    viewer.terminate()
    t.notMatch(await before.text('GET', '/api/v2/runs'), '_owner')
    t.match(await before.get('/api/v2/runs/owned'), { status: 'completed', metrics: { loss: { value: epoch - 1 } } })
    t.match(await after.get('/api/jobs/owned/series?metric=loss'), { n: epoch, x: 'step' })
    t.match(await after.get('/api/jobs/owned/log'), { last: epoch, complete: true })
  })

  await t.test('[CLAIM-11] an owner that is lost ends its job, also while the earlier hub sweeps', async (t) => {
    await after.post('/api/jobs', { kind: 'run', id: 'left', input: BAR, claim: true })
    const viewer = before.socket('/api/v2/ws/runs/left')
    t.match(await viewer.next('error'), { run_id: 'left', code: 'worker_lost' })
    // The hub of today refuses a retry. The earlier one does not, and nobody starts the job again.
    await t.rejects(after.post('/api/v2/runs/left/retry'), /is_owned/)
    await before.post('/api/v2/runs/left/retry')
    t.match(await viewer.next('status'), { status: 'queued' })
    await viewer.silence(500)
    await before.post('/api/v2/runs/left/cancel')
    await viewer.next('cancelled')
    viewer.terminate()
  })

  await t.test('[KIND-9] a job of a kind of KINDS_FILE is hidden by the earlier hub, and harms nothing', async (t) => {
    await after.post('/api/jobs', { kind: 'training', id: 'trained', input: { epochs: 2 } })
    const worker = new HubUser(hubs[1] ?? { http: '' }, 'worker', { role: 'worker' })
    const post = poster(worker, await worker.post('/api/v2/jobs/claim', { kind: 'training', wait_s: 10 }))
    await post({ type: 'metric_update', metric_name: 'loss', value: 1, unit: '' }, { type: 'log', line: 'one' })
    await post({ type: 'completed', metrics_summary: { loss: 1 } })
    t.match(await after.get('/api/jobs/trained'), { kind: 'training', status: 'completed' })
    await t.rejects(before.get('/api/processes/trained'), /404/)
    t.notOk((await before.get('/api/processes?limit=100')).processes.some((process: Message) => idOf(process) === 'trained'))
  })

  await t.test('the command line of today submits, watches and cancels at the earlier hub', async (t) => {
    const env = { RUNCAST_URL: hubs[0]?.http, RUNCAST_TOKEN: before.token, KINDS_MODULES: recordedKinds(CLONE).KINDS_MODULES }
    const submitted = await runcast(t, ['submit', 'run', '--id', 'by-command', '--input', '-', '--watch'], {
      env,
      input: JSON.stringify(BAR),
    })
    t.match(submitted, { code: 0, stdout: /^by-command\n[\s\S]*\nCompleted in /, stderr: '' })
    const held = startCommand(t, process.execPath, [RUNCAST, 'submit', 'walk', '--id', 'held', '--input', '-', '--watch'], {
      env,
      input: JSON.stringify(HELD),
    })
    await held.printed(/running/)
    t.match(await runcast(t, ['cancel', 'held'], { env }), { code: 0, stdout: /^cancell(ing|ed)\n$/ })
    t.match(await held.ended, { code: 3, stdout: /\nCancelled\.\n$/ })
    t.match(await runcast(t, ['submit', 'run'], { env }), { code: 4, stderr: /^runcast: invalid: .*\/input/ })
  })

  await t.test('an optimization begins with both workers, and goes on without the earlier one', async (t) => {
    startWorker(CLONE)
    await eventually(async () => (await admin.get('/api/admin/workers')).workers.length > 0)
    await before.post('/api/v2/optimizations', { optimization_id: 'search', ...SEARCH })
    const socket = after.socket('/api/v2/ws/optimizations/search')
    await eventually(() => socket.all('optimization_iteration').length >= 4)
    t.ok(hasOverlap(tabs[0]?.messages ?? []), 'each worker, which computes one run at a time, has computed one')
    await earlierWorker.kill()
    t.match(await socket.next('completed'), { evaluated: 12, total: 12, metrics_summary: { failed: 0 } })
    const iterations = socket.all('optimization_iteration').map(({ iteration }) => iteration)
    t.strictSame(
      iterations,
      Array.from({ length: 12 }, (_, i) => i + 1),
    )
    socket.terminate()
  })

  await t.test('jobs of both hubs run on the worker of today', async () => {
    await Promise.all([runOver(before, after, 'old-new-new'), runOver(after, before, 'new-new-old')])
    await cancelOver(after, before, 'cancelled-on-new')
  })

  await t.test('[LOG-4] [SERIES-6] [ART-1] today’s hub shows log, curves and files of today’s worker only', async (t) => {
    for (const id of ['old-new-new', 'new-new-old']) {
      const { lines, complete } = await after.get(`/api/v2/runs/${id}/log`)
      t.ok(lines.length > 0 && complete, id)
      const { events } = await before.get(`/api/v2/runs/${id}/events?limit=1000`)
      const { series } = await after.get(`/api/v2/runs/${id}/series`)
      const last = new Map(events.map(({ metric_name, n }: Message) => [metric_name, n]))
      last.delete(undefined)
      t.same(new Map(series.map(({ metric_name, n }: Message) => [metric_name, n])), last, 'every point that an entry counts')
      const { artifacts } = await after.get(`/api/v2/runs/${id}/artifacts`)
      t.same(
        artifacts.map(({ name }: Message) => name),
        ['mode.vtk', 'response.csv'],
      )
    }
    for (const id of ['new-old-old', 'old-old-new']) {
      t.match(await after.get(`/api/v2/runs/${id}/log`), { lines: [], last: 0, complete: true })
      t.same((await after.get(`/api/v2/runs/${id}/series`)).series, [])
      t.same((await after.get(`/api/v2/runs/${id}/artifacts`)).artifacts, [])
    }
  })

  await t.test('both hubs tell the same of every process, and nothing is missing', async (t) => {
    const seqs = tabs.map(() => new Map<string, number>())
    await eventually(() => {
      for (const [i, tab] of tabs.entries()) seqs[i] = proveProcesses(tab.messages)
      for (const known of seqs) known.delete('trained')
      return JSON.stringify([...(seqs[0] ?? [])].sort()) === JSON.stringify([...(seqs[1] ?? [])].sort())
    })
    t.equal(seqs[0]?.size, 13 + 12, 'the jobs, and the runs of the optimization')
    const persisted = ({ messages }: { readonly messages: readonly Message[] }) =>
      messages
        .filter((message) => message.type !== 'process_progress' && message.seq !== undefined && idOf(message) !== 'trained')
        .map(({ prev: _prev, ...message }) => asEarlier(message))
        .toSorted((a, b) => a.process_id.localeCompare(b.process_id) || a.seq - b.seq)
    const [one, other] = tabs.map(persisted)
    t.strictSame(one, other)
    const [list, otherList] = await Promise.all(users.map((user) => user.get('/api/processes?limit=100')))
    const processesOf = (page: Message) => page.processes.filter((process: Message) => idOf(process) !== 'trained')
    const asEarlierList = (page: Message) => comparable({ ...page, processes: processesOf(page).map(asEarlier) })
    t.strictSame(asEarlierList(list), asEarlierList(otherList))
    const named = otherList.processes.filter(({ title }: Message) => title !== undefined)
    t.match(named, [{ process_id: 'named', title: 'second' }], 'the hub of today tells the words')
    t.equal(otherList.processes.filter(({ parent_id }: Message) => parent_id === 'search').length, 12, 'and the parent')
    t.ok(list.processes.every(({ status }: Message) => status === 'completed' || status === 'cancelled'))
  })
})
