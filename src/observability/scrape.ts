import type { Scrape } from '../http/routes/metrics.js'
import type { Exposition, Samples } from './exposition.js'

/** What Redis was asked, and what is told where that fails, or takes too long: nothing stale. */
export interface Question {
  readonly answer: Promise<Samples>
  readonly unknown: Samples
}

/** A check as a metric: 1 where it is passed. */
export function isThere(name: 'runcast_ready' | 'runcast_redis_ready' | 'runcast_redis_writable', check: Promise<boolean>): Question {
  const told = (value: number): Samples => ({ [name]: [[[], value]] })
  return { answer: check.then((passed) => told(passed ? 1 : 0)), unknown: told(0) }
}

export interface ScrapeSources {
  /** What this process knows by itself. */
  readonly own: () => Samples
  /** What has to be asked of Redis, each by itself. */
  readonly questions: () => readonly Question[]
  /** Called before the first scrape: what it takes some work to measure is measured from then on. */
  readonly begin?: () => void
}

/** How long Redis may take to answer before it is left out. */
const ASK_MS = 1000
/** Within this time any number of scrapes ask Redis once. */
const KEEP_MS = 1000

/** A node's `/metrics`. */
export function buildScrape(exposition: Exposition, { own, questions, begin }: ScrapeSources): Scrape {
  let last: { readonly at: number; readonly samples: Promise<Samples> } | undefined
  const ask = () => {
    const now = performance.now()
    if (!last || now - last.at >= KEEP_MS || now < last.at) last = { at: now, samples: answersTo(questions()) }
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
async function answersTo(questions: readonly Question[]): Promise<Samples> {
  return Object.assign({}, ...(await Promise.all(questions.map(inTime))))
}

/** Never rejects. */
async function inTime({ answer, unknown }: Question): Promise<Samples> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<Samples>((resolve) => {
    timer = setTimeout(() => resolve(unknown), ASK_MS)
  })
  return Promise.race([answer.catch(() => unknown), late]).finally(() => clearTimeout(timer))
}
