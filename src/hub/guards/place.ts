import type { Clock } from '../../core/clock.js'
import type { Identity } from '../../core/identity.js'
import { RuncastError } from '../../protocol/codes.js'
import type { Transport } from '../transport.js'
import type { Policy } from './policy.js'

export interface PlaceOptions {
  readonly policy: Policy
  readonly clock: Clock
  readonly transport: Transport
  /** How long a client may take to answer before its place may go to another socket of its user. */
  readonly answerMs: number
}

/** A client that was heard so recently is not asked for a sign of life. */
const RECENT_MS = 1000

/** The place of one session among those of its user. It is given back while the client leaves a question for a sign of life unanswered. */
export class Place {
  readonly #options: PlaceOptions
  #heardAt = Number.NEGATIVE_INFINITY
  /** Gives it back. */
  #leave: (() => void) | undefined
  /** Whose place was given back because the client did not answer. */
  #displaced: Identity | undefined
  /** The question that is under way. */
  #question: { readonly answer: Promise<boolean>; settle(isDisplaced: boolean): void } | undefined
  #isFixed = false
  #isClosed = false

  constructor(options: PlaceOptions) {
    this.#options = options
  }

  /** How long ago the client gave a sign of life. */
  get sinceAnswerMs(): number {
    return this.#options.clock.elapsed() - this.#heardAt
  }

  /** Rejects as `Policy.enter`. */
  async take(identity: Identity): Promise<void> {
    const leave = await this.#options.policy.enter(identity, () => this.#probe(identity))
    if (this.#isClosed) leave()
    else this.#leave = leave
  }

  /** The client has given a sign of life. Where it had lost its place it takes another: see `#takeAgain`. */
  touch(): Promise<void> | null {
    this.#heardAt = this.#options.clock.elapsed()
    this.#question?.settle(false)
    return this.#displaced ? this.#takeAgain(this.#displaced) : null
  }

  /** Asks the client for a sign of life, below the messages. */
  ask(identity: Identity | undefined): void {
    this.#options.transport.ping()
    if (identity) void this.#answer(identity)
  }

  /** From now on it is not displaced: the node drains, and counts no places any more. */
  fix(): void {
    this.#isFixed = true
  }

  close(): void {
    this.#isClosed = true
    this.#leave?.()
    this.#leave = undefined
    this.#displaced = undefined
    this.#question?.settle(true)
  }

  /** Rejects where there is no place left: another socket has displaced this one. While places cannot be counted the session goes on without one. */
  async #takeAgain(identity: Identity): Promise<void> {
    this.#displaced = undefined
    try {
      await this.take(identity)
    } catch (error) {
      if (!(error instanceof RuncastError) || error.code !== 'overloaded') throw error
      this.#displaced = identity
    }
  }

  /** Resolves to whether the place was given back since no answer came. */
  #probe(identity: Identity): Promise<boolean> {
    if (this.sinceAnswerMs < RECENT_MS) return Promise.resolve(false)
    this.#options.transport.ping()
    return this.#answer(identity)
  }

  #answer(identity: Identity): Promise<boolean> {
    if (this.#question) return this.#question.answer
    const { clock, answerMs } = this.#options
    let settle = (_isDisplaced: boolean) => {}
    const answer = new Promise<boolean>((resolve) => {
      const callOff = clock.after(answerMs, () => settle(this.#yield(identity)))
      settle = (isDisplaced) => {
        callOff()
        this.#question = undefined
        resolve(isDisplaced)
      }
    })
    this.#question = { answer, settle }
    return answer
  }

  /** A client that reads slowly answers late: it keeps its place, and the outbox finds it if it is gone. */
  #yield(identity: Identity): boolean {
    if (!this.#leave || this.#isFixed || this.#options.transport.congested) return false
    this.#leave()
    this.#leave = undefined
    this.#displaced = identity
    return true
  }
}
