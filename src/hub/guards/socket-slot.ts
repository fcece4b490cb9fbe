import type { Clock } from '../../core/clock.js'
import type { Identity } from '../../core/identity.js'
import { RuncastError } from '../../protocol/codes.js'
import type { Transport } from '../transport.js'
import type { Policy } from './policy.js'

export interface SocketSlotOptions {
  readonly policy: Policy
  readonly clock: Clock
  readonly transport: Transport
  /** How long a client may take to answer before its slot may go to another socket of its user. */
  readonly answerMs: number
}

/** A client that was active so recently is not pinged. */
const RECENT_MS = 1000

/** The slot of one session among the slots of its user. It is freed while the client leaves a ping unanswered. */
export class SocketSlot {
  readonly #options: SocketSlotOptions
  #lastSignAt = Number.NEGATIVE_INFINITY
  /** Frees the slot. */
  #leave: (() => void) | undefined
  /** The user whose slot was freed because the client did not answer. */
  #displaced: Identity | undefined
  /** The ping that waits for its answer. */
  #probing: { readonly answer: Promise<boolean>; settle(isDisplaced: boolean): void } | undefined
  #isFixed = false
  #isClosed = false

  constructor(options: SocketSlotOptions) {
    this.#options = options
  }

  /** Milliseconds since the client's last sign of life. */
  get sinceAnswerMs(): number {
    return this.#options.clock.elapsed() - this.#lastSignAt
  }

  /** Rejects as `Policy.enter` does. */
  async acquire(identity: Identity): Promise<void> {
    const leave = await this.#options.policy.enter(identity, () => this.#probe(identity))
    if (this.#isClosed) leave()
    else this.#leave = leave
  }

  /** The client has given a sign of life. If it had lost its slot, it acquires another one: see `#reacquire`. */
  touch(): Promise<void> | null {
    this.#lastSignAt = this.#options.clock.elapsed()
    this.#probing?.settle(false)
    return this.#displaced ? this.#reacquire(this.#displaced) : null
  }

  /** Pings the client below the message layer. */
  ping(identity: Identity | undefined): void {
    this.#options.transport.ping()
    if (identity) void this.#answer(identity)
  }

  /** From now on it keeps its slot: the node drains and counts no slots any more. */
  fix(): void {
    this.#isFixed = true
  }

  close(): void {
    this.#isClosed = true
    this.#leave?.()
    this.#leave = undefined
    this.#displaced = undefined
    this.#probing?.settle(true)
  }

  /**
   * Rejects if no slot is left: another socket has displaced this one. While slots cannot be counted, the session
   * continues without one.
   */
  async #reacquire(identity: Identity): Promise<void> {
    this.#displaced = undefined
    try {
      await this.acquire(identity)
    } catch (error) {
      if (!(error instanceof RuncastError) || error.code !== 'overloaded') throw error
      this.#displaced = identity
    }
  }

  /** Resolves to whether the slot was freed because no answer came. */
  #probe(identity: Identity): Promise<boolean> {
    if (this.sinceAnswerMs < RECENT_MS) return Promise.resolve(false)
    this.#options.transport.ping()
    return this.#answer(identity)
  }

  #answer(identity: Identity): Promise<boolean> {
    if (this.#probing) return this.#probing.answer
    const { clock, answerMs } = this.#options
    let settle = (_isDisplaced: boolean) => {}
    const answer = new Promise<boolean>((resolve) => {
      const cancel = clock.after(answerMs, () => settle(this.#yield(identity)))
      settle = (isDisplaced) => {
        cancel()
        this.#probing = undefined
        resolve(isDisplaced)
      }
    })
    this.#probing = { answer, settle }
    return answer
  }

  /** A slow reader answers late. It keeps its slot; the outbox detects whether it is gone. */
  #yield(identity: Identity): boolean {
    if (!this.#leave || this.#isFixed || this.#options.transport.congested) return false
    this.#leave()
    this.#leave = undefined
    this.#displaced = identity
    return true
  }
}
