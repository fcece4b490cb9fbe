import type { JobState } from '../../core/job-state.js'
import { isFinal, type Status } from '../../protocol/status.js'
import type { JobRound } from '../../storage/job-store.js'

interface Seen {
  readonly kind: string
  readonly status: Status
  /** The sweep that saw it last. */
  readonly at: number
}

/** How many sweeps may miss an execution that is checked for another reason in between. */
const PATIENCE = 2

/**
 * Number of executions by kind and status, as the sweeper has seen them. Only executions that the fair scheduler has
 * handed out are counted: waiting ones are checked rarely.
 */
export class JobCounts {
  readonly #seen = new Map<string, Seen>()
  #sweeps = 0
  #isOpen = false

  /** Null if this process does not sweep, or has not completed a sweep yet. */
  get counts(): (readonly [kind: string, status: Status, count: number])[] | null {
    if (!this.#isOpen) return null
    const counts = new Map<string, [string, Status, number]>()
    for (const { kind, status } of this.#seen.values()) {
      const row = counts.get(`${kind} ${status}`) ?? [kind, status, 0]
      row[2] += 1
      counts.set(`${kind} ${status}`, row)
    }
    return [...counts.values()]
  }

  /** Records the current state of an execution's job. */
  observe(observed: JobRound, { kind, status, round }: Pick<JobState, 'kind' | 'status' | 'round'>): void {
    if (isFinal(status) || round > observed.round) this.leave(observed)
    else this.#seen.set(`${observed.id}~${observed.round}`, { kind: kind.name, status, at: this.#sweeps })
  }

  /** The execution has ended, or waits for its turn. */
  leave({ id, round }: JobRound): void {
    this.#seen.delete(`${id}~${round}`)
  }

  /** A sweep has completed. Executions that it did not meet have ended elsewhere. */
  swept(): void {
    this.#isOpen = true
    this.#sweeps += 1
    for (const [name, { at }] of this.#seen) if (at <= this.#sweeps - PATIENCE - 1) this.#seen.delete(name)
  }

  /** Another process sweeps. */
  clear(): void {
    this.#isOpen = false
    this.#seen.clear()
  }
}
