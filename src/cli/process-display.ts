import type { FinalProcessMessage, LiveProcessMessage, Process } from '../client/process-view.js'
import type { KindDisplay } from '../core/kind.js'
import type { ProcessSnapshot } from '../protocol/process-messages.js'
import { BarLine } from './bar-line.js'

/**
 * Displays a job of any kind in the process dialect: a bar with results above it. If the output is not a terminal, one
 * plain line per message.
 */
export class ProcessDisplay {
  readonly #line: BarLine
  readonly #hints: KindDisplay
  #status = ''

  /** `hints`: those of the job's kind, if it is known. */
  constructor(out: NodeJS.WriteStream, hints: KindDisplay = {}) {
    this.#hints = hints
    this.#line = new BarLine(out)
  }

  show(message: ProcessSnapshot | LiveProcessMessage, process: Process): void {
    if (message.type === 'process_progress') {
      const { current, total, detail, eta_s, phase = message.progress.model ?? '' } = message.progress
      this.#line.bar({ percent: total ? Math.min((100 * current) / total, 100) : 0, label: phase, text: detail, eta_s })
    } else if (message.type === 'process_result') this.#line.line(`  ${JSON.stringify(message.result)}`)
    else if (process.finished_at === null) this.#showStatus(process.status)
  }

  /** Prints a line from the command itself. */
  note(text: string): void {
    this.#line.line(`  ${text}`)
  }

  finish(final: FinalProcessMessage | null): void {
    if (final?.type === 'process_completed') this.#line.complete()
    this.#line.end()
    if (final?.type === 'process_completed') {
      const result = this.#hints.result?.(final.result) ?? JSON.stringify(final.result, null, 2)
      this.#line.paragraph(`Completed in ${final.compute_time_s} s of computing.\n${result}`)
    } else if (final?.type === 'process_failed') this.#line.paragraph(`Failed: ${final.error}`)
    else if (final?.type === 'process_cancelled') this.#line.paragraph('Cancelled.')
  }

  /** Replayed messages come with the current status, so it may repeat. */
  #showStatus(status: string): void {
    if (status !== this.#status) this.#line.line(`  ${status}`)
    this.#status = status
  }
}
