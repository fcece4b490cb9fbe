import t from 'tap'
import { HORN, startHarness } from '../support/harness.js'
import { startHub } from '../support/hub-process.js'
import { TestClient } from '../support/test-client.js'
import { startWorkerProcess } from '../support/worker-process.js'

const HOUR_MS = 3600_000
const isNow = (time: string) => Math.abs(Date.parse(time) - Date.now()) < 60_000

for (const [name, stepMs] of [
  ['back', -HOUR_MS],
  ['forward', HOUR_MS],
] as const)
  t.test(`[STATE-9] a worker's clock set ${name} an hour costs no attempt, and no time is wrong`, async (t) => {
    const h = await startHarness(t, { processor: null })
    const worker = startWorkerProcess(t, h, { CLOCK_STEP_MS: `${stepMs}` }, 'scripted')
    const id = await h.submit({ id: 'short' })
    const client = await h.connect(id)
    await client.next('progress')
    worker.kill('SIGURG')
    const end = await client.next('completed')
    t.match(end, { attempts: 1 })
    for (const field of ['compute_time_s', 'duration_s']) t.ok(end[field] >= 0.9 && end[field] < 60, `${field} ${end[field]}`)
    const { body } = await h.call('GET', `/api/v2/runs/${id}`)
    t.match([body.created_at, body.started_at, body.finished_at].map(isNow), [true, true, true])
    t.ok(body.started_at < body.finished_at)
    t.match((await (await h.connect(await h.submit({ id: 'quick' }))).next('completed')).attempts, 1, 'and goes on with the next one')
    t.same(h.faults, [])
  })

t.test('[TIMEOUT-1] a hub two hours ahead ends nothing, and its times are those of Redis', async (t) => {
  const h = await startHarness(t, { nodes: 0, processor: null })
  const hub = await startHub(t, h, { CLOCK_AHEAD_MS: `${2 * HOUR_MS}`, SWEEP_INTERVAL_MS: '100', CANCEL_GRACE_MS: '100' })
  startWorkerProcess(t, h, { SWEEP_INTERVAL_MS: '60000' }, 'scripted')
  const token = h.token('alice', { seconds: 3 * 3600 })
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ run_id: 'short', input: HORN, job_timeout_s: 600 })
  const answer = await fetch(`${hub.http}/api/v2/runs`, { method: 'POST', headers, body })
  t.equal(answer.status, 202, await answer.text())
  const client = new TestClient(`${hub.ws}/api/v2/ws/runs/short?token=${token}`)
  h.onTeardown(() => client.terminate())
  const told = await client.next('completed')
  t.match(told, { attempts: 1 })
  t.ok(told.duration_s < 60, `${told.duration_s} s`)
  for (const { type, timestamp } of client.messages.filter((message) => 'timestamp' in message))
    t.ok(isNow(timestamp), `${type} ${timestamp}`)
})
