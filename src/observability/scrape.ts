import type { Scrape } from '../http/routes/metrics.js'
import type { Exposition, Samples } from './exposition.js'

/** A query to Redis. `unknown`: the samples if it fails or takes too long. Old values are never reported. */
export interface Query {
  readonly answer: Promise<Samples>
  readonly unknown: Samples
}

/** A check as a metric: 1 if it passes, else 0. */
export function checkQuery(name: 'runcast_ready' | 'runcast_redis_ready' | 'runcast_redis_writable', check: Promise<boolean>): Query {
  const sample = (value: number): Samples => ({ [name]: [[[], value]] })
  return { answer: check.then((passed) => sample(passed ? 1 : 0)), unknown: sample(0) }
}

export interface ScrapeSources {
  /** Samples that need no query. */
  readonly own: () => Samples
  /** Queries to Redis, independent of each other. */
  readonly queries: () => readonly Query[]
  /** Called before the first scrape. Starts measurements that have a cost. */
  readonly begin?: () => void
}

/** Timeout of a query to Redis. */
const ASK_MS = 1000
/** Scrapes within this time share one set of queries to Redis. */
const KEEP_MS = 1000

/** A node's `/metrics`. */
export function buildScrape(exposition: Exposition, { own, queries, begin }: ScrapeSources): Scrape {
  let last: { readonly at: number; readonly samples: Promise<Samples> } | undefined
  const ask = () => {
    const now = performance.now()
    if (!last || now - last.at >= KEEP_MS || now < last.at) last = { at: now, samples: readAll(queries()) }
    return last.samples
  }
  return {
    contentType: exposition.contentType,
    text: async () => {
      if (!last) begin?.()
      const known = await ask()
      return exposition.text({ ...own(), ...known })
    },
  }
}

/** Never rejects. */
async function readAll(queries: readonly Query[]): Promise<Samples> {
  return Object.assign({}, ...(await Promise.all(queries.map(withTimeout))))
}

/** Never rejects. */
async function withTimeout({ answer, unknown }: Query): Promise<Samples> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<Samples>((resolve) => {
    timer = setTimeout(() => resolve(unknown), ASK_MS)
  })
  return Promise.race([answer.catch(() => unknown), late]).finally(() => clearTimeout(timer))
}
