/**
 * Seconds between two moments of one clock, both in ms, to a hundredth as messages say them. Never negative. Within a process the clock is one that is never set
 * (`performance.now()`); between processes it is that of Redis (`storeClock`).
 */
export function secondsBetween(from: number, to: number): number {
  return Math.max(0, Math.round((to - from) / 10) / 100)
}

/** Seconds of a round since its first start, 0 before that. `now`: by the clock of Redis. */
export function secondsSinceStart({ started_at }: { readonly started_at: string | null }, now: number): number {
  return started_at === null ? 0 : secondsBetween(Date.parse(started_at), now)
}
