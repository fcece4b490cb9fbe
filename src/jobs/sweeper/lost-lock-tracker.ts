import type { JobRound } from '../../storage/job-store.js'

/**
 * Rounds that were seen in a worker's hands without its lock, and since when. One look is no proof: the lock may have lapsed while Redis was away, and its
 * worker, or another one, is about to come back.
 */
export class LostLockTracker {
  readonly #since = new Map<string, { readonly token: number; readonly at: number }>()

  /** To be asked once at each look: since when the round was seen so at every look (ms of a clock that is never set), by this token; null where the last one saw something else. */
  take({ id, round }: JobRound, token: number): number | null {
    const name = `${id}~${round}`
    const seen = this.#since.get(name)
    this.#since.delete(name)
    return seen?.token === token ? seen.at : null
  }

  /** It was seen so again. */
  put({ id, round }: JobRound, token: number, at: number): void {
    this.#since.set(`${id}~${round}`, { token, at })
  }

  clear(): void {
    this.#since.clear()
  }
}
