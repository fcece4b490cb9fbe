import { UserSlots } from '../../core/user-slots.js'
import { RuncastError } from '../../protocol/codes.js'

/** A user has at most one of so many slots. */
const USERS = 4

/** The uploads that one process may store at a time, and how many of them one user. */
export class UploadSlots {
  readonly #max: number
  readonly #users: UserSlots
  /** Patient uploads, in the order of their calls. */
  readonly #waiting = new Set<() => void>()
  #used = 0

  constructor(max: number) {
    this.#max = max
    this.#users = new UserSlots(Math.max(1, Math.floor(max / USERS)))
  }

  /** Uploads under way. */
  get used(): number {
    return this.#used
  }

  /**
   * Resolves to the function that frees the slot. Without a free one, a patient upload waits until `signal` is aborted;
   * another one is rejected with `overloaded`. Rejects with `rate_limited` if `sub` has too many.
   */
  async enter({ sub, isPatient = false, signal }: { sub?: string; isPatient?: boolean; signal?: AbortSignal }): Promise<() => void> {
    const leaveUser = sub === undefined ? () => {} : this.#users.enter(sub)
    if (!leaveUser)
      throw new RuncastError('rate_limited', {
        message: `This user has ${this.#users.max} uploads under way here, which is the maximum; try again when one has ended.`,
        retryAfterMs: 1000,
      })
    const leave = () => {
      leaveUser()
      const [next] = this.#waiting
      if (next) next()
      else this.#used -= 1
    }
    if (this.#used < this.#max) this.#used += 1
    else if (isPatient) await this.#turn(signal)
    else {
      leaveUser()
      throw new RuncastError('overloaded', { message: 'Too many uploads are under way here; try again later.', retryAfterMs: 1000 })
    }
    return leave
  }

  /** Resolves when another upload has left its slot to this one. */
  #turn(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const take = () => {
        leave()
        resolve()
      }
      const abort = () => {
        leave()
        reject(signal?.reason)
      }
      const leave = () => {
        this.#waiting.delete(take)
        signal?.removeEventListener('abort', abort)
      }
      if (signal?.aborted) return reject(signal.reason)
      this.#waiting.add(take)
      signal?.addEventListener('abort', abort)
    })
  }
}
