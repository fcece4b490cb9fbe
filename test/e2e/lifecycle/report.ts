import type { Verdict } from './chaos.js'

/** In the order of the story. */
const GROUPS = [
  'seconds',
  'jobs',
  'jobs left out',
  'faults',
  'clients disturbed',
  'telemetry',
  'submit requests',
  'cancel requests',
  'retry requests',
  'rounds',
  'attempts',
  'ends',
  'finals by source',
  'cancels by force',
  'writes fenced',
]
const MAX_TEXTS = 5

/** What happened, and what did not hold. */
export function report({ tally, faults }: Verdict): string {
  const lines = [...faults].flatMap(([name, texts]) => {
    const more = texts.length > MAX_TEXTS ? [`    … and ${texts.length - MAX_TEXTS} more`] : []
    return [`  BROKEN: ${name} (${texts.length})`, ...texts.slice(0, MAX_TEXTS).map((text) => `    ${text}`), ...more]
  })
  return [tally.describe(GROUPS), ...lines].join('\n')
}
