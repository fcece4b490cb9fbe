import { signToken } from '../../src/cli/token.js'
import { type Answer, type Harness, SECRET } from './harness.js'

// biome-ignore lint/suspicious/noExplicitAny: tests post arbitrary events
type Posted = any

export interface PostOptions {
  readonly node?: number
  /** Default: the next number. */
  readonly n?: number
  readonly token?: number
  readonly round?: number
  /** Subject of the token. */
  readonly sub?: string
}

/** A token with the role `worker`. */
export function workerToken(sub = 'worker-1'): string {
  return signToken(SECRET, sub, 600, { role: 'worker' })
}

/** A worker over HTTP, driven by a test: one claim at a time. */
export class Claimant {
  readonly #h: Harness
  readonly #sub: string
  // biome-ignore lint/suspicious/noExplicitAny: tests inspect arbitrary answers
  #job: any
  #n = 0

  constructor(h: Harness, sub = 'worker-1') {
    this.#h = h
    this.#sub = sub
  }

  // biome-ignore lint/suspicious/noExplicitAny: tests inspect arbitrary answers
  get job(): any {
    return this.#job
  }

  async claim({ node = 0, ...asked }: { kind?: string; solver?: string; wait_s?: number; node?: number } = {}): Promise<Answer> {
    const body = { kind: 'run', wait_s: 10, ...asked }
    const answer = await this.#h.call('POST', '/api/v2/jobs/claim', { node, token: workerToken(this.#sub), body })
    if (answer.status === 200) this.take(answer)
    return answer
  }

  /** Continues a claim that was made in its name. */
  take({ body }: Answer): void {
    this.#job = body
    this.#n = 0
  }

  /** Posts to a node with the next number. */
  post(events: readonly Posted[], { node = 0, n, token, round, sub }: PostOptions = {}): Promise<Answer> {
    if (n === undefined) this.#n += 1
    const body = { round: round ?? this.#job.round, token: token ?? this.#job.token, n: n ?? this.#n, events }
    return this.#h.call('POST', `/api/v2/jobs/${this.#job.id}/events`, { node, token: workerToken(sub ?? this.#sub), body })
  }
}
