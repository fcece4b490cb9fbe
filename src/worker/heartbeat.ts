/**
 * A heartbeat is skipped if something was written since the last one. So a job is silent for at most twice this time,
 * well below the limit at which it becomes stale.
 */
const HEARTBEAT_MS = 2500

/**
 * Heartbeats of one job. Each one carries whether the processor gave a sign of life since the last one. A processor
 * that computes in another thread or process reports these signs itself (`sign`). For any other processor the running
 * event loop is the sign, since both would stop together.
 */
export class Heartbeat {
  #timer: NodeJS.Timeout | undefined
  /** Null until the processor has reported a first sign itself. */
  #signs: number | null = null

  sign(): void {
    this.#signs = (this.#signs ?? 0) + 1
  }

  start(send: (alive: boolean) => void): void {
    this.#timer ??= setInterval(() => {
      const alive = this.#signs !== 0
      if (this.#signs !== null) this.#signs = 0
      send(alive)
    }, HEARTBEAT_MS).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
