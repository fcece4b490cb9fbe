import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { MAX_JOBS_OF_PROCESS, type ProcessEntry } from '../storage/processes.js'
import { version } from './version.js'

/** What a worker process runs. */
interface RunsJobs {
  readonly queue: string
  readonly slots: number
  readonly running: number
  /** Ids of the jobs that it runs. */
  readonly jobs: readonly string[]
}

/** The entry of a hub or worker that starts now, at the time of each call. */
export function processEntry(role: ProcessEntry['role'], kinds: readonly string[], workers: readonly RunsJobs[] = []): () => ProcessEntry {
  const fixed = {
    id: randomUUID(),
    role,
    host: hostname(),
    pid: process.pid,
    version: version(),
    started_at: new Date().toISOString(),
    kinds,
  }
  return () => ({
    ...fixed,
    queues: workers.map(({ queue, slots, running }) => ({ queue, slots, running })),
    jobs: workers.flatMap(({ jobs }) => jobs).slice(0, MAX_JOBS_OF_PROCESS),
  })
}
