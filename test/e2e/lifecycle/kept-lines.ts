import type { NumberedLine } from '../../../src/client/log-fold.js'
import type { Line, Lines } from './telemetry-record.js'

/** The lines that a watch of the client library has handed over. */
export class KeptLines {
  #kept = new Map<number, Line>()
  #last = 0
  #isComplete = false

  /** As `onLog` of a watch. */
  add(lines: readonly NumberedLine[], is: { readonly isReset: boolean; readonly isComplete: boolean }): void {
    if (is.isReset) {
      this.#kept = new Map()
      this.#last = 0
    }
    for (const { n, ...line } of lines) this.#kept.set(n, line)
    this.#last = lines.at(-1)?.n ?? this.#last
    this.#isComplete = is.isComplete
  }

  get isComplete(): boolean {
    return this.#isComplete
  }

  get lines(): Lines {
    return { last: this.#last, kept: this.#kept }
  }
}
