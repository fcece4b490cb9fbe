/** A beat is left out where something was written since the last: so a job is silent for twice this at most, well within what makes it stale. */
const HEARTBEAT_MS = 2500

/**
 * The signs of life of one job. Each beat carries on whether the processor gave one since the last beat. One that computes elsewhere gives them itself
 * (`sign`); of any other the turning of this event loop is the sign, since it would stand still with it.
 */
export class Heartbeat {
  #timer: NodeJS.Timeout | undefined
  /** Null until the processor has shown that it gives signs itself. */
  #signs: number | null = null

  sign(): void {
    this.#signs = (this.#signs ?? 0) + 1
  }

  start(beat: (alive: boolean) => void): void {
    this.#timer ??= setInterval(() => {
      const alive = this.#signs !== 0
      if (this.#signs !== null) this.#signs = 0
      beat(alive)
    }, HEARTBEAT_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
