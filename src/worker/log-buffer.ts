import type { AppendTelemetry } from '../core/telemetry.js'

/** Limits of the log of a job, as `BrokerLimits` has them. */
export interface LogLimits {
  readonly maxLogLines: number
  readonly maxLogBytes: number
}

export const DEFAULT_LOG_LIMITS: LogLimits = { maxLogLines: 5000, maxLogBytes: 1024 * 1024 }

/** Between two writes of lines. A write of more than `PAUSE_BYTES` is followed by a proportionally longer pause. */
const PAUSE_MS = 100
const PAUSE_BYTES = 64 * 1024
/** Maximum lines and bytes per write, so that no write occupies Redis for long. */
const BATCH = { lines: 500, bytes: 64 * 1024 }

/**
 * Log lines that wait to be written, in order. It holds no more lines than the log of a job does: older ones would be
 * dropped from the log at once, so they are not sent, only counted. So a job that writes lines without end costs Redis
 * a bounded rate, and its last lines are always there.
 */
export class LogBuffer {
  readonly #limits: LogLimits
  #lines: string[] = []
  /** Index of the first waiting line in `#lines`. */
  #from = 0
  #bytes = 0
  #skipped = 0
  #dueAt = Number.NEGATIVE_INFINITY
  /** Bytes of the current series of writes, and how many more lines it may take. */
  #sent = 0
  #left = 0
  #isFlushing = false

  constructor(limits: LogLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#lines.length - this.#from
  }

  /** When the next lines may be written, in ms from now. */
  get dueInMs(): number {
    return this.#isFlushing ? 0 : Math.max(this.#dueAt - performance.now(), 0)
  }

  /** A line as JSON. */
  add(line: string): void {
    this.#lines.push(line)
    this.#bytes += Buffer.byteLength(line)
    const { maxLogLines, maxLogBytes } = this.#limits
    while (this.size > 1 && (this.size > maxLogLines || this.#bytes > maxLogBytes)) {
      this.#shift()
      this.#skipped += 1
    }
  }

  /**
   * The next lines; null if none are due. Call it again until it returns null: the pause begins then. A series takes
   * the lines that wait at its start; those that are added meanwhile wait for the next one.
   */
  take(): AppendTelemetry | null {
    if (this.#sent === 0 && this.dueInMs === 0) this.#left = this.size
    if (this.size === 0 || this.#left <= 0) return this.#pause()
    const lines: string[] = []
    let bytes = 0
    const most = Math.min(this.size, this.#left, BATCH.lines)
    while (lines.length < most && bytes < BATCH.bytes) {
      const line = this.#shift()
      lines.push(line)
      bytes += Buffer.byteLength(line)
    }
    this.#sent += bytes
    this.#left -= lines.length
    const skipped = this.#skipped
    this.#skipped = 0
    return { reducer: 'append', skipped, lines }
  }

  /** Makes all waiting lines due now. */
  flushNow(): void {
    this.#isFlushing = true
    this.#left = this.size
  }

  clear(): void {
    this.#lines = []
    this.#from = 0
    this.#bytes = 0
    this.#skipped = 0
  }

  #pause(): null {
    this.#isFlushing = false
    if (this.#sent > 0) this.#dueAt = performance.now() + PAUSE_MS * Math.max(1, this.#sent / PAUSE_BYTES)
    this.#sent = 0
    this.#left = 0
    return null
  }

  #shift(): string {
    const line = this.#lines[this.#from] ?? ''
    this.#lines[this.#from] = ''
    this.#from += 1
    this.#bytes -= Buffer.byteLength(line)
    // Not at each line: removing from the front copies the rest.
    if (this.#from >= 1024 && this.#from * 2 >= this.#lines.length) {
      this.#lines = this.#lines.slice(this.#from)
      this.#from = 0
    }
    return line
  }
}
