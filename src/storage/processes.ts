/** What a hub or worker process says about itself. */
export interface ProcessEntry {
  readonly id: string
  readonly role: 'hub' | 'worker'
  readonly host: string
  readonly pid: number
  /** Version of the package. */
  readonly version: string
  /** ISO 8601. */
  readonly started_at: string
  /** The kinds that a hub serves or a worker computes. */
  readonly kinds: readonly string[]
  /** The queues of a worker: how many jobs it runs at once, and how many it runs now. */
  readonly queues: readonly QueueUse[]
  /** Ids of jobs that a worker runs now, at most `MAX_JOBS_OF_PROCESS`. */
  readonly jobs: readonly string[]
}

export interface QueueUse {
  readonly queue: string
  readonly slots: number
  readonly running: number
}

/** Maximum ids of running jobs in an entry. */
export const MAX_JOBS_OF_PROCESS = 200
/** Maximum processes in a list. */
export const MAX_LISTED_PROCESSES = 1000

/**
 * The processes that are alive. An entry is a lease: the entry of a process that dies is gone within seconds. Processes
 * of versions before 0.2 are not listed.
 */
export interface Processes {
  /** Announces this process every few seconds until `close`, and not after it. Faults are reported, never thrown. */
  announce(describe: () => ProcessEntry): void
  /** At most `MAX_LISTED_PROCESSES`, and the number of all. Rejects with `overloaded` if Redis cannot be reached. */
  list(): Promise<{ readonly processes: readonly ProcessEntry[]; readonly total: number }>
  /** Withdraws the entry. Takes no longer than one command; never rejects. */
  close(): Promise<void>
}
