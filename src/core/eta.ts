/** What an `Eta` knows, as JSON. Times are seconds of one clock. */
export interface EtaState {
  /** Share of the work at the begin of the measurement, and now: 0 to 1. */
  readonly begun: number
  readonly done: number
  /** When `done` was reached. */
  readonly at: number
  readonly advances: number
  /** Recent time, work and advances, each weighed by `HALF_LIFE`. */
  readonly time: number
  readonly share: number
  readonly steps: number
}

/** After this share of the whole work, what was measured before counts half. */
const HALF_LIFE = 0.1
/** Less than this says nothing about the rest. */
const MIN_ADVANCES = 3
const MIN_SHARE = 0.03

/**
 * Estimates how many seconds the rest of a job takes, from its speed so far: exact at constant speed, smoothed
 * otherwise. It grows while nothing advances for longer than usual.
 */
export class Eta {
  #state: EtaState

  /** `from`: the share of the work that is done when the measurement begins (0 to 1), or the state of another one. */
  constructor(from: number | EtaState, at = 0) {
    this.#state = typeof from === 'number' ? fresh(from, at) : from
  }

  get state(): EtaState {
    return this.#state
  }

  /** Usual seconds between two advances. Null if unknown. */
  get stepSeconds(): number | null {
    const { advances, time, steps } = this.#state
    return advances < MIN_ADVANCES ? null : Math.round((1000 * time) / steps) / 1000
  }

  /** The time until `at` (seconds) does not count, because the job was paused. */
  skipTo(at: number): void {
    if (at > this.#state.at) this.#state = { ...this.#state, at }
  }

  /** Seconds that are left at the time `at`, when this share of the work is done. Null if unknown. */
  after(done: number, at: number): number | null {
    if (done < this.#state.done) this.#state = fresh(done, at)
    const before = this.#state
    const share = done - before.done
    if (share > 0) {
      const keep = 0.5 ** (share / HALF_LIFE)
      const time = before.time * keep + Math.max(0, at - before.at)
      const advances = before.advances + 1
      this.#state = { ...before, done, at, advances, time, share: before.share * keep + share, steps: before.steps * keep + 1 }
    }
    return this.#left(at)
  }

  #left(now: number): number | null {
    const { begun, done, at, advances, time, share, steps } = this.#state
    if (advances < MIN_ADVANCES || done - begun < MIN_SHARE) return null
    const late = Math.max(0, now - at - time / steps)
    return Math.round(((time + late) / share) * (1 - done) * 10) / 10
  }
}

function fresh(done: number, at: number): EtaState {
  return { begun: done, done, at, advances: 0, time: 0, share: 0, steps: 0 }
}
