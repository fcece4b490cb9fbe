import t from 'tap'
import { controlWriter } from '../../src/core/entry.js'
import { runEvents } from '../../src/core/run-events.js'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import { Stage } from '../support/stage.js'
import { TestClient } from '../support/test-client.js'
import { startWorkerProcess } from '../support/worker-process.js'

t.test(
  '[CANCEL-1] [STATE-8] an endless loop, cancelled over another hub, is ended by force; its worker goes on with the next job',
  async (t) => {
    const h = await startHarness(t, { nodes: 2, processor: null })
    const worker = startWorkerProcess(t, h, { CANCEL_GRACE_MS: '500', WORKER_CONCURRENCY: '1' }, 'scripted')
    const id = await h.submit({ id: 'loop' })
    const client = await h.connect(id)
    const list = new TestClient(`${h.nodes[0]?.ws}/ws?token=${h.token()}`)
    h.onTeardown(() => list.terminate())
    await client.next('progress')
    t.match(await h.call('POST', `/api/v2/runs/${id}/cancel`, { node: 1 }), { status: 202, body: { status: 'cancelling' } })
    t.match(await client.next('cancelled'), { run_id: id, forced: true, percent: 1 })
    t.match(await list.next('process_cancelled'), { process_id: id, forced: true }, 'in the process dialect too')
    const next = await h.connect(await h.submit({ id: 'quick' }))
    await next.next('completed')
    await client.silence(200)
    t.equal(worker.exitCode, null, 'the same process')
    t.same(h.faults, [])
  },
)

t.test('[CANCEL-1] one that obeys is cancelled without force, and its message has no such field', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const id = await h.submit()
  await stage.play(id)
  const client = await h.connect(id)
  await h.call('POST', `/api/v2/runs/${id}/cancel`)
  t.notOk('forced' in (await client.next('cancelled')))
})

t.test('[CANCEL-1] a worker that does not even look is overruled by the sweeper, which is force as well', async (t) => {
  const h = await startHarness(t, { processor: null, env: { CANCEL_GRACE_MS: '200', SWEEP_INTERVAL_MS: '100', WORKER_LOCK_MS: '60000' } })
  const worker = startWorkerProcess(t, h, { CANCEL_GRACE_MS: '200', WORKER_LOCK_MS: '60000' }, 'scripted')
  const id = await h.submit({ id: 'loop' })
  const client = await h.connect(id)
  await client.next('progress')
  worker.kill('SIGSTOP')
  await h.call('POST', `/api/v2/runs/${id}/cancel`)
  t.match(await client.next('cancelled'), { forced: true })
  worker.kill('SIGCONT')
})

t.test('[STATE-11] a loop that never yields goes stale although its worker lives; one that only waits does not', async (t) => {
  // Two beats fit in.
  const h = await startHarness(t, { processor: null, env: { STALE_MS: '6000' } })
  startWorkerProcess(t, h, { WORKER_CONCURRENCY: '2' }, 'scripted')
  const [loop, long] = [await h.submit({ id: 'loop' }), await h.submit({ id: 'long' })]
  const read = async (id: string) => (await h.call('GET', `/api/v2/runs/${id}`)).body
  await eventually(async () => (await read(long)).status === 'running' && (await read(loop)).status === 'running')
  await eventually(async () => (await read(loop)).stale, { timeoutMs: 30_000, everyMs: 100 })
  t.match(await read(long), { status: 'running', stale: false })
})

t.test('[STATE-8] a silent job whose cancel was heard by nobody learns of it all the same', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const id = await h.submit()
  const { job } = await stage.play(id)
  const client = await h.connect(id)
  await h.nodes[0]?.hub.parts.broker.publish(id, [runEvents.status(id, 'cancelling')], controlWriter(1))
  await client.next('cancelled')
  t.match(job.signal.reason, { why: 'cancelled' })
})

t.test('[STATE-3] a silent job that has another writer is stopped at once, and that is logged once', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const id = await h.submit()
  const { job } = await stage.play(id)
  const taken = [runEvents.status(id, 'retrying'), runEvents.status(id, 'running')]
  await h.nodes[0]?.hub.parts.broker.publish(id, taken, { round: 1, token: 2, n: 1 })
  await eventually(() => job.signal.aborted)
  t.match(job.signal.reason, { why: 'lost' })
  const fenced = () => h.logged.filter((line) => 'reason' in line)
  await eventually(() => fenced().length > 0)
  t.same(fenced(), [{ job: id, reason: 'stale_writer', text: 'write fenced' }])
})
