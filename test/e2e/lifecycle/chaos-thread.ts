import type { HornInput } from '../../../src/kinds/run/input.js'
import { serveJobs } from '../../../src/worker/threads/serve-jobs.js'
import { solveRun } from '../../../workers/solver/horn-2d.js'
import { DEAF_WIDTH_MM } from './inputs.js'
import { recorded } from './ledger.js'

serveJobs<HornInput, 'run'>((input, job) =>
  recorded(job, process.env.CHAOS_LEDGER ?? '', async (job) => {
    if (input.width_mm !== DEAF_WIDTH_MM) return solveRun(input, job)
    job.progress({ percent: 1, phase: 'solving', message: 'for ever' })
    for (;;);
  }),
)
