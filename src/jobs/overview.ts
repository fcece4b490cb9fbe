import { isFinal, type Status } from '../protocol/status.js'
import type { Claims } from '../queue/claims.js'
import type { Backlog } from '../queue/queue.js'
import type { JobStore } from '../storage/job-store.js'
import type { ProcessEntry, Processes } from '../storage/processes.js'
import type { QueueDepth, RedisDepths } from '../storage/redis/depths.js'
import type { JobRecordRow, RedisOverview, WaitingUser } from '../storage/redis/overview.js'

export interface OverviewPorts {
  readonly processes: Processes
  readonly records: Pick<RedisOverview, 'active' | 'records' | 'busiest'>
  readonly depths: Pick<RedisDepths, 'read'>
  readonly store: Pick<JobStore, 'list'>
  readonly backlog: Pick<Backlog, 'workers' | 'counts'>
  readonly claims: Pick<Claims, 'held' | 'read'>
  /** Queues that are listed even if no job was ever added to them. */
  readonly queues: readonly string[]
  readonly maxActivePerUser: number
}

/** A job that has not ended. `worker`: the process that runs it; null if none does or if it is not known. */
export interface ActiveJob extends Omit<JobRecordRow, 'token'> {
  readonly worker: string | null
}

export interface QueueRow extends QueueDepth {
  readonly running: number
  readonly delayed: number
  /** Null if Redis does not allow listing its clients. */
  readonly workers: number | null
}

/** A job that a worker over HTTP holds. `by`: the user of its token. */
export interface ClaimRow {
  readonly queue: string
  readonly job: string
  readonly by: string | null
  readonly leftMs: number
}

/** Users with waiting jobs that are listed. */
const MAX_USERS_LISTED = 20
/** Executions of one queue that are checked for claims. */
const MAX_CLAIMS_CHECKED = 1000

/** Jobs, queues and workers of all users and processes, for operators. Each read is bounded. */
export class Overview {
  readonly #ports: OverviewPorts

  constructor(ports: OverviewPorts) {
    this.#ports = ports
  }

  /**
   * About `limit` jobs of all users that have not ended, in no order. A job that does not end meanwhile is on one of
   * the pages, rarely on two. Cursor: undefined for the first page; null in the answer after the last one.
   */
  async jobs(limit: number, cursor = '0'): Promise<{ jobs: ActiveJob[]; cursor: string | null }> {
    const { records, processes } = this.#ports
    const [page, { processes: alive }] = await Promise.all([records.active(limit, cursor), processes.list()])
    const rounds = new Map(page.rounds.map(({ id, round }) => [id, round]))
    const rows = await records.records([...rounds.keys()])
    // Executions that have just ended are removed last.
    const jobs = rows.filter(({ id, round }) => rounds.get(id) === round)
    return { jobs: activeOf(jobs, alive), cursor: page.cursor }
  }

  /** The same for the jobs of one user, newest first. */
  async jobsOf(user: string, limit: number, cursor?: string): Promise<{ jobs: ActiveJob[]; cursor: string | null }> {
    const { records, processes, store } = this.#ports
    const [page, { processes: alive }] = await Promise.all([store.list(user, null, limit, cursor, 'active'), processes.list()])
    return { jobs: activeOf(await records.records(page.ids), alive), cursor: page.cursor ?? null }
  }

  async queues(): Promise<{ queues: QueueRow[]; users: readonly WaitingUser[] }> {
    const { depths, records, maxActivePerUser } = this.#ports
    const [read, users] = await Promise.all([depths.read(), records.busiest(maxActivePerUser, MAX_USERS_LISTED)])
    const known = new Map(read.map((depth) => [depth.queue, depth]))
    const names = [...new Set([...this.#ports.queues, ...known.keys()])].toSorted()
    const queues = names.map((queue) => this.#queue(known.get(queue) ?? { queue, waiting: 0, held: 0, active: 0, headWaitMs: 0 }))
    return { queues: await Promise.all(queues), users }
  }

  /** The worker processes that are alive, and the jobs that workers over HTTP hold. */
  async workers(): Promise<{ workers: ProcessEntry[]; claims: ClaimRow[] }> {
    const { processes, queues } = this.#ports
    const [{ processes: alive }, claims] = await Promise.all([processes.list(), Promise.all(queues.map((queue) => this.#claims(queue)))])
    return { workers: alive.filter(({ role }) => role === 'worker'), claims: claims.flat() }
  }

  async #queue(depth: QueueDepth): Promise<QueueRow> {
    const { backlog } = this.#ports
    const [counts, workers] = await Promise.all([backlog.counts(depth.queue), backlog.workers(depth.queue).catch(() => null)])
    return { ...depth, ...counts, workers }
  }

  async #claims(queue: string): Promise<ClaimRow[]> {
    const { claims, records } = this.#ports
    const held = await claims.held(queue, MAX_CLAIMS_CHECKED)
    const rows = await records.records(held.map(({ id }) => id))
    const tokens = new Map(rows.map(({ id, token }) => [id, token]))
    const found = await Promise.all(
      held.map(({ id, round }) => {
        const token = tokens.get(id)
        return token === undefined ? null : claims.read({ queue, id, round, token })
      }),
    )
    return held.map(({ id, leftMs }, i) => ({ queue, job: id, by: found[i]?.by ?? null, leftMs }))
  }
}

function activeOf(rows: readonly JobRecordRow[], processes: readonly ProcessEntry[]): ActiveJob[] {
  const workers = new Map(processes.flatMap(({ id, jobs }) => jobs.map((job) => [job, id] as const)))
  return rows
    .filter(({ status }) => !isFinal(status as Status)) // as the scripts write it
    .map(({ token, ...row }) => ({ ...row, worker: workers.get(row.id) ?? null }))
}
