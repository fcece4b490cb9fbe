import { CHECKS_PER_LOCK, type Claims } from '../../queue/claims.js'

export interface ClaimRecoveryOptions {
  /** A lease that is not renewed for this long is lost. */
  readonly lockMs: number
  /** Whether a request waits for a job of this queue now. */
  isWanted(queue: string): boolean
  readonly onFault: (error: unknown) => void
}

/**
 * Recovers lost leases, as a worker process does for lost workers. It runs while external workers use this hub, since
 * without a worker process nothing else would recover them. Without external workers for the life of a lock it stops; a
 * lease lost after that ends like any job that no worker takes.
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

  /** A request waits for a job of this queue, or a worker computes one. */
  markActive(queue: string): void {
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
    const isActive = (queue: string) => isWanted(queue) || performance.now() - (this.#seen.get(queue) ?? Number.NEGATIVE_INFINITY) <= lockMs
    const active = [...this.#seen.keys()].filter(isActive)
    if (active.length === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      return
    }
    this.#checking ??= Promise.all(active.map((queue) => this.#claims.recover(queue)))
      .then(() => {}, onFault)
      .finally(() => {
        this.#checking = undefined
      })
  }
}
