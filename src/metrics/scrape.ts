import type { Scrape } from '../http/routes/metrics.js'
import type { Exposition, Samples } from './exposition.js'

export interface ScrapeSources {
  /** What this process knows by itself. */
  readonly own: () => Samples
  /** What has to be asked of Redis. Where that fails, or takes too long, `unknown` is told instead: nothing stale. */
  readonly asked: () => Promise<Samples>
  readonly unknown: Samples
}

/** How long Redis may take to answer before it is left out. */
const ASK_MS = 1000
/** Within this time any number of scrapes ask Redis once. */
const KEEP_MS = 1000

/** A node's `/metrics`. */
export function buildScrape(exposition: Exposition, { own, asked, unknown }: ScrapeSources): Scrape {
  let last: { readonly at: number; readonly samples: Promise<Samples> } | undefined
  const ask = () => {
    const now = Date.now()
    if (!last || now - last.at >= KEEP_MS || now < last.at) last = { at: now, samples: inTime(asked(), unknown) }
    return last.samples
  }
  return {
    contentType: exposition.contentType,
    text: async () => {
      const known = await ask()
      return exposition.text({ ...own(), ...known })
    },
  }
}

/** Never rejects. */
async function inTime(answer: Promise<Samples>, otherwise: Samples): Promise<Samples> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<Samples>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), ASK_MS)
  })
  return Promise.race([answer.catch(() => otherwise), late]).finally(() => clearTimeout(timer))
}
