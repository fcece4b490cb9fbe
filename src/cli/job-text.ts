import type { WireJob } from '../client/job-info.js'

const UNITS = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'm'],
] as const

/** Time since a moment in its largest unit, as `5m`. `now`: ms. */
export function ageOf(moment: string, now: number): string {
  // The clock of the hub may be ahead.
  const seconds = Math.max(0, Math.floor((now - Date.parse(moment)) / 1000))
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? [1, 's']
  return `${Math.floor(seconds / size)}${unit}`
}

/** Progress in percent, or the number of steps if nobody knows how many there will be. Null before the first report. */
export function progressOf({ status, progress }: Pick<WireJob, 'status' | 'progress'>): string | null {
  if (status === 'completed') return '100 %'
  if (progress === null) return null
  const { current, total } = progress
  return total ? `${Math.floor(Math.min((100 * current) / total, 100))} %` : String(current)
}
