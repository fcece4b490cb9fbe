/** Source of time and timers; tests use a manual one. */
export interface Clock {
  /** ms since the epoch, for dates such as the expiry of a token. May jump: the system clock can be set. */
  now(): number
  /** ms of a monotonic clock, for durations. */
  elapsed(): number
  /** Calls `act` once after `ms`. Returns a function that cancels it. The timer does not keep the process alive. */
  after(ms: number, act: () => void): () => void
  /** Calls `act` once at the end of the current turn of the event loop. */
  atTurnEnd(act: () => void): void
}

const MAX_TIMER_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: Date.now,
  elapsed: () => performance.now(),
  after: (ms, act) => {
    let timer: NodeJS.Timeout
    // Node fires at once for a delay above 2^31 - 1 ms, so a longer one is split.
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
