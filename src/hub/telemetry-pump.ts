import type { Clock } from '../core/clock.js'
import { isOverloaded } from '../protocol/codes.js'
import type { Frame } from './frame.js'
import type { Outbox } from './outbox.js'

/** What a client gets of a job beside its entries. */
export interface TelemetrySource {
  /** Reads what comes next and sends at most one message of it. */
  pull(): Promise<void>
  /** Messages that were not handed to the transport yet were dropped. */
  fallBehind(): void
  /** The client has gone. */
  release(): void
}

const RETRY_MS = 500

/**
 * Telemetry for one client. It is read from the store, one read at a time, and only while the client reads as fast as
 * the hub writes. So it never adds to the backlog of a slow client, and costs no memory while it waits.
 */
export class TelemetryPump {
  readonly #outbox: Outbox
  readonly #clock: Clock
  readonly #onFault: (error: unknown) => void
  readonly #sources = new Set<TelemetrySource>()
  readonly #waiting = new Set<TelemetrySource>()
  /** Called when the last source was released. */
  onEmpty: () => void = () => {}
  #isRunning = false
  #cancelRetry: (() => void) | undefined

  /** `onFault`: errors that are not an outage of Redis. */
  constructor(outbox: Outbox, clock: Clock, onFault: (error: unknown) => void) {
    this.#outbox = outbox
    this.#clock = clock
    this.#onFault = onFault
  }

  /** Whether nothing may be sent now. `resume` is called when that is over. */
  get isBlocked(): boolean {
    return this.#outbox.isBlocked
  }

  add(source: TelemetrySource): void {
    this.#sources.add(source)
  }

  remove(source: TelemetrySource): void {
    this.#waiting.delete(source)
    if (this.#sources.delete(source) && this.#sources.size === 0) this.onEmpty()
  }

  /** The source has something to read. */
  wants(source: TelemetrySource): void {
    if (!this.#sources.has(source)) return
    this.#waiting.add(source)
    if (!this.#isRunning) void this.#run()
  }

  /** `sent`: called when the message is handed to the transport. Call it only while the pump is not blocked. */
  send(frame: Frame, sent: () => void): void {
    const seal = () => {
      sent()
      return frame
    }
    this.#outbox.enqueue({ bytes: 0, seal })
  }

  /** The client reads again. */
  resume(): void {
    if (!this.#isRunning) void this.#run()
  }

  /** The backlog of the client was dropped. */
  fallBehind(): void {
    for (const source of this.#sources) source.fallBehind()
  }

  close(): void {
    this.#cancelRetry?.()
    for (const source of [...this.#sources]) source.release()
    this.#sources.clear()
    this.#waiting.clear()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    for (const source of this.#waiting) {
      if (this.isBlocked || this.#cancelRetry) break
      // Added again, it is the last one: each source gets its turn.
      this.#waiting.delete(source)
      try {
        await source.pull()
      } catch (error) {
        if (!isOverloaded(error)) this.#onFault(error)
        else this.#retry(source)
      }
    }
    this.#isRunning = false
  }

  #retry(source: TelemetrySource): void {
    this.wants(source)
    this.#cancelRetry ??= this.#clock.after(RETRY_MS, () => {
      this.#cancelRetry = undefined
      this.resume()
    })
  }
}
