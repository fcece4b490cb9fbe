export interface StoreClockOptions {
  /** ms of a clock that is never set. */
  readonly elapsed?: () => number
  /** ms since the epoch, as this machine has it. */
  readonly wallClock?: () => number
}

/** Where this machine's clock is that close it is used, so that the processes of one machine agree to the millisecond. */
const SLACK_MS = 10

/**
 * Time by the clock of Redis, which all processes share: what is stored is stamped by it, and deadlines are judged by it. It runs by a clock that is never set,
 * from what Redis has last told; before that by the clock of this machine.
 */
export class StoreClock {
  readonly elapsed: () => number
  readonly wallClock: () => number
  /** Redis' time less the elapsed one. */
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

  /** Now, ISO 8601. */
  stamp(): string {
    return new Date(this.now()).toISOString()
  }

  /** By how many ms the clock of this machine is ahead of that of Redis; 0 before Redis has told its own. */
  get aheadMs(): number {
    return this.wallClock() - this.now()
  }

  /** Redis' clock showed `time` (ms since the epoch) at some moment from `begun` (of `elapsed`) until now. A slow answer corrects only what it proves wrong. */
  learn(time: number, begun: number): void {
    const ended = this.elapsed()
    const [least, most] = [time - ended, time + 1 - begun]
    const own = this.wallClock() - ended
    const likely = own >= least - 1 && own <= most ? own : (this.#offset ?? (least + most) / 2)
    this.#offset = Math.min(Math.max(likely, least), most)
  }
}

/** That of this process, which its probe of the store keeps right. */
export const storeClock = new StoreClock()
