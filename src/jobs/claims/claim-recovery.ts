import { CHECKS_PER_LOCK, type Claims } from '../../queue/claims.js'

export interface ClaimRecoveryOptions {
  /** A claim that is not renewed for so long is lost. */
  readonly lockMs: number
  /** Whether somebody waits for a job of a queue now. */
  isWanted(queue: string): boolean
  readonly onFault: (error: unknown) => void
}

/**
 * Looks for lost claims, as a worker process does for lost workers, while there is somebody on this hub who claims: for where no worker process runs, nobody
 * else would. With nobody there for the life of a lock it stops, and what is lost then ends like any job that no worker takes up.
 */
export class ClaimRecovery {
  readonly #claims: Claims
  readonly #options: ClaimRecoveryOptions
  readonly #seen = new Map<string, number>()
  #timer: NodeJS.Timeout | undefined
  #checking: Promise<void> | undefined

  constructor(claims: Claims, options: ClaimRecoveryOptions) {
    this.#claims = claims
    this.#options = options
  }

  /** Somebody claims from this queue, or computes what was claimed from it. */
  attend(queue: string): void {
    this.#seen.set(queue, performance.now())
    if (this.#timer) return
    this.#timer = setInterval(() => this.#check(), this.#options.lockMs / CHECKS_PER_LOCK).unref()
    this.#check()
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#checking
  }

  #check(): void {
    const { lockMs, isWanted, onFault } = this.#options
    const isAttended = (queue: string) =>
      isWanted(queue) || performance.now() - (this.#seen.get(queue) ?? Number.NEGATIVE_INFINITY) <= lockMs
    const attended = [...this.#seen.keys()].filter(isAttended)
    if (attended.length === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      return
    }
    this.#checking ??= Promise.all(attended.map((queue) => this.#claims.recover(queue)))
      .then(() => {}, onFault)
      .finally(() => {
        this.#checking = undefined
      })
  }
}
