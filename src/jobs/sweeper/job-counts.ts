import type { JobState } from '../../core/job-state.js'
import { isFinal, type Status } from '../../protocol/status.js'
import type { JobRound } from '../../storage/job-store.js'

interface Seen {
  readonly kind: string
  readonly status: Status
  /** At which sweep. */
  readonly at: number
}

/** How many sweeps a round may be passed over that is looked at for another reason in between. */
const PATIENCE = 2

/** How many rounds there are by kind and status, as the sweeper has seen them: those that were handed out, since what waits for its turn is seldom looked at. */
export class JobCounts {
  readonly #seen = new Map<string, Seen>()
  #sweeps = 0
  #isOpen = false

  /** Null where this process does not sweep, or has not been round yet. */
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

  /** Of a round, the state of its job at this moment. */
  look(looked: JobRound, { kind, status, round }: Pick<JobState, 'kind' | 'status' | 'round'>): void {
    if (isFinal(status) || round > looked.round) this.leave(looked)
    else this.#seen.set(`${looked.id}~${looked.round}`, { kind: kind.name, status, at: this.#sweeps })
  }

  /** It has ended, or waits for its turn. */
  leave({ id, round }: JobRound): void {
    this.#seen.delete(`${id}~${round}`)
  }

  /** A sweep has been round: what it did not meet has ended elsewhere. */
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
