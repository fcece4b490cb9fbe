/** Longest delay of a submit: a week. */
export const MAX_DELAY_MS = 604_800_000
export const MAX_PRIORITY = 9

export function isDelay(ms: number): boolean {
  return Number.isInteger(ms) && ms >= 0 && ms <= MAX_DELAY_MS
}

export function isPriority(priority: number): boolean {
  return Number.isInteger(priority) && priority >= 0 && priority <= MAX_PRIORITY
}
