import type { JobRound } from '../../storage/job-store.js'

/**
 * Executions that were seen held by a worker without a lock, and since when. One check is no proof: the lock may have
 * expired while Redis was unreachable, and its worker or another one may be about to continue.
 */
export class LostLockTracker {
  readonly #since = new Map<string, { readonly token: number; readonly at: number }>()

  /**
   * Returns since when every check has seen the execution in this condition with this token (ms of the monotonic
   * clock); null if the last check saw something else. Call it once per check.
   */
  take({ id, round }: JobRound, token: number): number | null {
    const name = `${id}~${round}`
    const seen = this.#since.get(name)
    this.#since.delete(name)
    return seen?.token === token ? seen.at : null
  }

  /** The execution was seen in this condition again. */
  put({ id, round }: JobRound, token: number, at: number): void {
    this.#since.set(`${id}~${round}`, { token, at })
  }

  clear(): void {
    this.#since.clear()
  }
}
