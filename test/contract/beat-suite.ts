import type { Test } from 'tap'
import type { Rejected, Written } from '../../src/storage/broker.js'
import { eventually } from '../support/eventually.js'
import type { OpenBackend } from './backend.js'
import { entering, progress, TestJob } from './test-job.js'

/** Signs of life, as every broker keeps them. */
export function beatContract(t: Test, open: OpenBackend): void {
  t.test('[STATE-11] a job that is computed and gives no sign of life is stale until it gives one', async (t) => {
    const backend = open(t, { staleMs: 30 })
    const job = await TestJob.in(backend, 'queued')
    const beat = (alive: boolean) => backend.broker.heartbeat(job.id, { round: 1, token: 1, n: 1 }, alive)
    /** Whatever is silent afterwards has been so since the act at most. */
    const breaksSilence = async (act: () => Promise<Written | Rejected>) => {
      const from = Date.now()
      t.match(await act(), { ok: true })
      const { sinceHeartbeatMs } = await job.state()
      t.ok(sinceHeartbeatMs !== null && sinceHeartbeatMs <= Date.now() - from + 1)
    }
    t.match(await job.state(), { sinceHeartbeatMs: null, stale: false }, 'nobody computes it')
    await job.enter('running')
    await eventually(async () => (await job.state()).stale)
    const { sinceHeartbeatMs, seq } = await job.state()
    t.ok(sinceHeartbeatMs !== null && sinceHeartbeatMs > 30)

    t.same(await beat(false), { ok: true, seq, status: 'running' }, 'the worker lives, the processor is silent')
    t.ok((await job.state()).stale)
    await breaksSilence(() => beat(true))
    t.equal((await job.state()).seq, seq, 'a sign of life is no entry')

    await eventually(async () => (await job.state()).stale)
    await breaksSilence(() => job.write(progress(job.id, 1)))
    await job.enter('completed')
    t.match(await job.state(), { sinceHeartbeatMs: null, stale: false }, 'what has ended is not stale')
  })

  t.test('[STATE-11] a sign of life of a writer that has lost its job is refused as its writes are', async (t) => {
    const backend = open(t)
    const { broker } = backend
    const job = await TestJob.in(backend, 'running')
    t.same(await broker.heartbeat('nobody', { round: 1, token: 1, n: 1 }, true), { ok: false, reason: 'unknown_job', status: null })
    t.same(await broker.heartbeat(job.id, { round: 2, token: 1, n: 1 }, true), { ok: false, reason: 'stale_round', status: 'running' })
    job.token = 2
    await job.write(progress(job.id, 1))
    t.same(await broker.heartbeat(job.id, { round: 1, token: 1, n: 9 }, true), { ok: false, reason: 'stale_writer', status: 'running' })
    await job.control(entering(job.id, 'cancelling'))
    t.match(await broker.heartbeat(job.id, { round: 1, token: 2, n: 1 }, true), { ok: true, status: 'cancelling' }, 'and tells of a cancel')
    await job.enter('cancelled')
    t.same(await broker.heartbeat(job.id, { round: 1, token: 2, n: 1 }, true), { ok: false, reason: 'final', status: 'cancelled' })
  })
}
