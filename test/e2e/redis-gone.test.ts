import t from 'tap'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import { startTestRedis } from '../support/redis.js'

/** Some seconds of real solving. */
const LONG = { ...HORN, mesh: { elements_x: 16, elements_y: 80 }, sweep: { points: 201 } }
const ENV = { WORKER_LOCK_MS: '1000', SWEEP_INTERVAL_MS: '300', CANCEL_GRACE_MS: '1000', WORKER_FINISH_MS: '0' }

for (const job of ['an idle worker', 'a worker with a job']) {
  t.test(`[OPS-3] Redis is gone: ${job} and a hub end all the same`, async (t) => {
    const harness = await startHarness(t, { redis: await startTestRedis(t), env: ENV })
    if (job === 'a worker with a job') {
      const client = await harness.connect(await harness.submit({ input: LONG }))
      await client.next('progress')
    }
    await harness.redis.kill()
    // The worker's connections know it now, and wait for their next try.
    await eventually(() => harness.logged.some((line) => 'reason' in line && line.reason === 'store_unreachable'))
    await t.resolves(harness.worker?.close() ?? Promise.reject(new Error('there is no worker')))
    await t.resolves(harness.nodes[0]?.hub.close() ?? Promise.reject(new Error('there is no hub')))
  })
}
