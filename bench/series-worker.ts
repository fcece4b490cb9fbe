import { setTimeout as sleep } from 'node:timers/promises'
import { createWorker } from '../src/app/create-worker.js'
import { runsBy } from '../test/support/kinds.js'
import { type Load, loadOf, valueAt } from './series-load.js'

/** A worker whose runs report the points that their input asks for, at an even rate. */
const { REDIS_URL: url = '' } = process.env

const worker = createWorker({
  redis: { url },
  work: [
    runsBy(async (input, job) => {
      const { metrics, points, rate }: Load = loadOf(input)
      const names = Array.from({ length: metrics }, (_, i) => `m${i}`)
      const startedAt = performance.now()
      for (let i = 0; i < points; ) {
        const due = Math.min(points, Math.ceil(((performance.now() - startedAt) * rate) / 1000))
        for (; i < due; i += 1) for (const name of names) job.metric(name, valueAt(i), { unit: 'J', step: i })
        await sleep(5, undefined, { signal: job.signal })
      }
      return { metrics_summary: { seconds: (performance.now() - startedAt) / 1000 } }
    }),
  ],
})
await worker.start()
process.on('disconnect', () => process.exit())
