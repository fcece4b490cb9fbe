export interface StoreClockOptions {
  /** ms of a monotonic clock. */
  readonly elapsed?: () => number
  /** ms since the epoch, by this machine. */
  readonly wallClock?: () => number
}

/** Within this distance the clock of the machine is used, so that processes on one machine agree to the millisecond. */
const SLACK_MS = 10

/**
 * The time of Redis, which all processes share: it stamps what is stored, and deadlines are compared with it.
 * Extrapolated from the last known time of Redis by a monotonic clock; before that, the time of this machine.
 */
export class StoreClock {
  readonly elapsed: () => number
  readonly wallClock: () => number
  /** Time of Redis minus `elapsed()`. */
  #offset: number | undefined

  constructor({ elapsed = () => performance.now(), wallClock = () => Date.now() }: StoreClockOptions = {}) {
    this.elapsed = elapsed
    this.wallClock = wallClock
  }

  /** ms since the epoch. */
  now(): number {
    const wall = this.wallClock()
    if (this.#offset === undefined) return wall
    const time = this.#offset + this.elapsed()
    return Math.abs(wall - time) <= SLACK_MS ? wall : Math.floor(time)
  }

  /** `now()` in ISO 8601. */
  stamp(): string {
    return new Date(this.now()).toISOString()
  }

  /** ms by which the clock of this machine is ahead of Redis; 0 until the time of Redis is known. */
  get aheadMs(): number {
    return this.wallClock() - this.now()
  }

  /**
   * Redis reported `time` (ms since the epoch) at some moment between `begun` (a reading of `elapsed`) and now. The
   * estimate changes only as far as this interval requires, so a slow answer cannot distort it.
   */
  learn(time: number, begun: number): void {
    const ended = this.elapsed()
    const [least, most] = [time - ended, time + 1 - begun]
    const own = this.wallClock() - ended
    const likely = own >= least - 1 && own <= most ? own : (this.#offset ?? (least + most) / 2)
    this.#offset = Math.min(Math.max(likely, least), most)
  }
}

/** The clock of this process, kept up to date by the health probe of the store. */
export const storeClock = new StoreClock()
