import { allPass, type ReadinessChecks } from '../http/routes/health.js'
import type { Scrape } from '../http/routes/metrics.js'
import type { WorkTally } from '../worker/work-tally.js'
import { Exposition, type Samples } from './exposition.js'
import { type JobSources, jobSamples, measureJobs, storeQueries } from './job-samples.js'
import { buildScrape, checkQuery } from './scrape.js'

/** The worker of one queue in this process. */
export interface RunningWorker {
  readonly queue: string
  readonly slots: number
  readonly running: number
  readonly buffered: number
}

export interface WorkerSources {
  readonly parts: JobSources
  readonly workers: readonly RunningWorker[]
  readonly tally: WorkTally
  readonly readiness: ReadinessChecks
}

/** The `/metrics` of a worker process. */
export function workerMetrics(sources: WorkerSources): Scrape {
  const exposition = new Exposition('worker')
  measureJobs(exposition, sources.parts)
  return buildScrape(exposition, {
    own: () => ({ ...jobSamples(sources.parts), ...workSamples(sources) }),
    queries: () => [checkQuery('runcast_ready', allPass(sources.readiness)), ...storeQueries(sources.parts.health)],
  })
}

function workSamples({ workers, tally }: WorkerSources): Samples {
  const buffered = workers.reduce((sum, worker) => sum + worker.buffered, 0)
  return {
    runcast_reports_total: [
      [['tick'], tally.transients],
      [['durable'], tally.persisted],
    ],
    runcast_ticks_coalesced_total: [[[], tally.coalesced]],
    runcast_publish_retries_total: [[[], tally.retries]],
    runcast_reports_buffered: [[[], buffered]],
    runcast_running_jobs: workers.map(({ queue, running }) => [[queue], running]),
    runcast_job_slots: workers.map(({ queue, slots }) => [[queue], slots]),
    runcast_steps_total: [[[], tally.steps]],
  }
}
