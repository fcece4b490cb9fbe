import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { workerToken } from '../support/claimant.js'
import { eventually } from '../support/eventually.js'
import { type Harness, HORN, startHarness } from '../support/harness.js'
import type { Message, TestClient } from '../support/test-client.js'
import { assertComplete } from '../support/wire.js'
import { killProcess } from '../support/worker-process.js'

/** Far more slices than anybody waits for. */
const ENDLESS = { FINEST: '1000000000' }
const SHORT = { WORKER_LOCK_MS: '1000', SWEEP_INTERVAL_MS: '200' }

interface Example {
  readonly child: ChildProcess
  said(): string
}

/** A file of the example as it stands, in a process of its own; killed in the teardown if it still runs. */
function run(
  t: Test,
  h: Harness,
  [command, file]: [string, string],
  { node = 0, ...env }: { node?: number; FINEST?: string } = {},
): Example {
  const path = fileURLToPath(new URL(`../../../examples/claim-worker/${file}`, import.meta.url))
  const child = spawn(command, [path], {
    env: {
      ...process.env,
      HUB: h.nodes[node]?.http,
      TOKEN: workerToken(),
      RUNCAST_URL: h.nodes[node]?.http,
      RUNCAST_TOKEN: workerToken(),
      PYTHONDONTWRITEBYTECODE: '1',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  child.stdout?.on('data', (text: Buffer) => {
    said += text.toString()
  })
  t.teardown(() => killProcess(child))
  return { child, said: () => said }
}

const python = (t: Test, h: Harness, options: { node?: number; FINEST?: string } = {}) => run(t, h, ['python3', 'worker.py'], options)

function start(t: Test, env: Readonly<Record<string, string>> = {}): Promise<Harness> {
  return startHarness(t, { processor: null, nodes: 2, env })
}

async function untilStatus(client: TestClient, status: string): Promise<Message> {
  for (;;) {
    const message = await client.next('status')
    if (message.status === status && message.recovered === undefined) return message
  }
}

t.test('[CLAIM-1] a worker in Python computes a whole run, watched over a socket of another hub', async (t) => {
  const h = await start(t)
  const worker = python(t, h, { FINEST: '3200' })
  const id = await h.submit()
  const client = await h.connect(id, { node: 1 })
  const { metrics_summary } = await client.next('completed')
  t.ok(Math.abs(metrics_summary.natural_frequency_hz - 19_962.58) < 0.01, 'Rayleigh-Love, from its closed form')
  const metrics = client.messages.filter(({ type }) => type === 'metric_update').map(({ value }) => value)
  t.ok(
    metrics.every((hz, i) => i === 0 || hz > metrics[i - 1]),
    'finer from one to the next',
  )
  assertComplete(t, client.messages)
  const second = await h.connect(await h.submit({ input: { ...HORN, profile: 'exponential', tip_thickness_mm: 12 } }))
  t.match(await second.next('completed'), { attempts: 1 })
  worker.child.kill('SIGTERM')
  t.same(await once(worker.child, 'exit'), [0, null])
  t.same(h.faults, [])
})

t.test('[CLAIM-6] killed in the middle of a run: another worker takes it up in attempt 2, on another hub', async (t) => {
  const h = await start(t, SHORT)
  const first = python(t, h, ENDLESS)
  const client = await h.connect(await h.submit())
  await client.next('progress')
  await killProcess(first.child)
  python(t, h, { node: 1, FINEST: '800' })
  t.match(await untilStatus(client, 'retrying'), { attempt: 2, reason: 'the worker was lost' })
  t.match(await client.next('completed'), { attempts: 2 })
  assertComplete(t, client.messages)
  t.same(h.faults, [])
})

t.test('[CLAIM-6] frozen in the middle of a run: what it says when it wakes is refused, and it goes on with the next run', async (t) => {
  const h = await start(t, SHORT)
  const frozen = python(t, h, ENDLESS)
  const id = await h.submit()
  const client = await h.connect(id)
  await client.next('progress')
  frozen.child.kill('SIGSTOP')
  const other = python(t, h, { node: 1, FINEST: '800' })
  t.match(await client.next('completed'), { attempts: 2 })
  await killProcess(other.child)
  frozen.child.kill('SIGCONT')
  await eventually(() => frozen.said().includes(`lost ${id}`))
  t.equal(client.messages.at(-1).type, 'completed')
  const next = await h.submit()
  await eventually(() => frozen.said().includes(`claimed ${next}, attempt 1`))
  t.same(h.faults, [])
})

t.test('[CLAIM-6] no hub answers until its lease is over: a worker in Python gives the run up, and computes it no longer', async (t) => {
  const h = await start(t, SHORT)
  const worker = python(t, h, ENDLESS)
  const id = await h.submit()
  const client = await h.connect(id, { node: 1 })
  await client.next('progress')
  await h.nodes[0]?.hub.close()
  await eventually(() => worker.said().includes(`lost ${id}`))
  t.equal(worker.child.exitCode, null, 'and asks for the next one')
})

t.test('[CLAIM-7] a worker in Python obeys a cancel', async (t) => {
  const h = await start(t)
  python(t, h, ENDLESS)
  const id = await h.submit()
  const client = await h.connect(id)
  await client.next('progress')
  t.match(await h.call('POST', `/api/v2/runs/${id}/cancel`, { node: 1 }), { status: 202, body: { status: 'cancelling' } })
  t.notOk((await client.next('cancelled')).forced)
  t.same(h.faults, [])
})

t.test('[CLAIM-8] a worker in Python that is told to stop hands its run back, and ends', async (t) => {
  const h = await start(t)
  const worker = python(t, h, ENDLESS)
  const client = await h.connect(await h.submit())
  await client.next('progress')
  worker.child.kill('SIGTERM')
  t.match(await untilStatus(client, 'queued'), { attempt: 1, reason: 'the worker stops' })
  t.same(await once(worker.child, 'exit'), [0, null])
  python(t, h, { node: 1, FINEST: '800' })
  t.match(await client.next('completed'), { attempts: 1 })
  t.same(h.faults, [])
})

t.test('[CLAIM-1] curl alone claims, tells and completes a run', async (t) => {
  const h = await start(t)
  const { child } = run(t, h, ['sh', 'curl.sh'])
  const client = await h.connect(await h.submit())
  t.match(await client.next('progress'), { percent: 50 })
  t.match(await client.next('completed'), { metrics_summary: { natural_frequency_hz: 19999.926 } })
  t.equal(child.exitCode ?? (await once(child, 'exit'))[0], 0)
  t.same(h.faults, [])
})
