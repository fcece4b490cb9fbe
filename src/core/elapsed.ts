/**
 * Seconds between two readings of one clock in ms, rounded to 0.01 and never negative. Use `performance.now()` within a
 * process and `storeClock` across processes.
 */
export function secondsBetween(from: number, to: number): number {
  return Math.max(0, Math.round((to - from) / 10) / 100)
}

/** Seconds since the execution was first started; 0 before that. `now`: ms by `storeClock`. */
export function secondsSinceStart({ started_at }: { readonly started_at: string | null }, now: number): number {
  return started_at === null ? 0 : secondsBetween(Date.parse(started_at), now)
}
