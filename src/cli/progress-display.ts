import type { FinalMessage, JobSnapshot, JobView, LiveMessage } from '../client/job-view.js'
import { formatNumber } from '../core/format-number.js'
import type { KindDisplay } from '../core/kind.js'
import { BarLine } from './bar-line.js'
import { padTo } from './columns.js'

/**
 * Displays a job in the run dialect: a bar with metrics above it. If the output is not a terminal, one plain line per
 * message.
 */
export class ProgressDisplay {
  readonly #line: BarLine
  readonly #hints: KindDisplay
  readonly #shown = new Map<string, number>()
  #status = ''

  /** `hints`: those of the job's kind. */
  constructor(out: NodeJS.WriteStream, hints: KindDisplay = {}) {
    this.#hints = hints
    this.#line = new BarLine(out)
  }

  show(message: JobSnapshot | LiveMessage, view: JobView): void {
    for (const [name, { value, unit }] of Object.entries(view.metrics)) {
      if (this.#shown.get(name) === value) continue
      this.#shown.set(name, value)
      this.#line.line(`  ${padTo(28, name)} ${formatNumber(value).padStart(12)} ${unit === '1' ? '' : unit}`)
    }
    if (message.type === 'progress') {
      this.#line.bar({ percent: view.percent ?? 0, label: view.phase ?? '', text: view.message ?? '', eta_s: message.eta_s })
    } else if (message.type === 'status') this.#showStatus(view.status)
    else {
      const line = this.#hints.line?.(message, this.#line.isTerminal)
      if (line) this.#line.line(`  ${line}`)
    }
  }

  /** Prints a line from the command itself. */
  note(text: string): void {
    this.#line.line(`  ${text}`)
  }

  finish(final: FinalMessage | null): void {
    if (final?.type === 'completed') this.#line.complete()
    this.#line.end()
    if (final?.type === 'completed') {
      this.#line.paragraph(`Completed in ${final.compute_time_s} s of computing.`)
      for (const [name, value] of Object.entries(final.metrics_summary)) {
        this.#line.line(`  ${padTo(28, name)} ${formatNumber(value).padStart(12)}`)
      }
    } else if (final?.type === 'error') {
      this.#line.paragraph(`Failed: ${final.error}\n${final.solver_log_tail}`.trimEnd())
    } else if (final?.type === 'cancelled') {
      this.#line.paragraph('Cancelled.')
    }
  }

  /** A snapshot repeats the status after each reconnect. */
  #showStatus(status: string): void {
    if (status !== this.#status) this.#line.line(`  ${status}`)
    this.#status = status
  }
}
