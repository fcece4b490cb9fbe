/** Time as the hub sees it, so that tests can turn it by hand. */
export interface Clock {
  /** ms since the epoch. */
  now(): number
  /** Calls once after `ms`; the function that it returns calls it off. Does not keep the process alive. */
  after(ms: number, act: () => void): () => void
  /** Calls once at the end of this turn of the event loop. */
  atTurnEnd(act: () => void): void
}

export const systemClock: Clock = {
  now: Date.now,
  after: (ms, act) => {
    const timer = setTimeout(act, ms).unref()
    return () => clearTimeout(timer)
  },
  atTurnEnd: (act) => {
    setImmediate(act)
  },
}
