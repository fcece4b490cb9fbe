/** Time as the hub sees it, so that tests can turn it by hand. */
export interface Clock {
  /** ms since the epoch. For moments, such as the end of a token: the clock may be set. */
  now(): number
  /** ms of a clock that is never set. For spans. */
  elapsed(): number
  /** Calls once after `ms`; the function that it returns calls it off. Does not keep the process alive. */
  after(ms: number, act: () => void): () => void
  /** Calls once at the end of this turn of the event loop. */
  atTurnEnd(act: () => void): void
}

const MAX_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: Date.now,
  elapsed: () => performance.now(),
  after: (ms, act) => {
    let timer: NodeJS.Timeout
    // A longer wait than a timer can hold is made of several: Node would fire at once.
    const wait = (left: number) => {
      timer = setTimeout(() => (left > MAX_TIMER_MS ? wait(left - MAX_TIMER_MS) : act()), Math.min(left, MAX_TIMER_MS)).unref()
    }
    wait(ms)
    return () => clearTimeout(timer)
  },
  atTurnEnd: (act) => {
    setImmediate(act)
  },
}
