import { eventually } from '../support/eventually.js'
import { contentOf, type Entry, isDurable } from './ledger.js'

// biome-ignore lint/suspicious/noExplicitAny: the tests look at whatever came
export type Body = any

const PAGE = 1000

/** REST through the load balancer, as one user. */
export class Rest {
  readonly #url: string
  readonly #token: string

  constructor(url: string, token: string) {
    this.#url = url
    this.#token = token
  }

  get url(): string {
    return this.#url
  }

  get token(): string {
    return this.#token
  }

  /** Rejects where the answer is no success. */
  async call(method: 'GET' | 'POST', path: string, body?: object): Promise<Body> {
    const headers = { authorization: `Bearer ${this.#token}`, ...(body && { 'content-type': 'application/json' }) }
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers,
      signal: AbortSignal.timeout(10_000),
      ...(body && { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return JSON.parse(text)
  }

  /** The durable entries of a job's log after a seq, up to another; asks again while Redis or every hub is away. */
  log(path: string, after = 0, upTo = Number.POSITIVE_INFINITY): Promise<Entry[]> {
    return eventually(() => this.#pages(path, after, upTo), { timeoutMs: 60_000, everyMs: 500 })
  }

  async #pages(path: string, from: number, upTo: number): Promise<Entry[]> {
    const entries: Entry[] = []
    for (let after = from; ; ) {
      const { events, seq, next_after: next } = await this.call('GET', `${path}/events?after=${after}&limit=${PAGE}`)
      entries.push(...events.map(contentOf))
      const isEnd = events.length === 0 || next === undefined || next === null || next <= after || next >= Math.min(seq, upTo)
      if (isEnd) return entries.filter((entry) => isDurable(entry) && entry.seq <= upTo)
      after = next
    }
  }
}
