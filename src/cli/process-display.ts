import type { FinalProcessMessage, LiveProcessMessage, Process } from '../client/process-view.js'
import type { ProcessSnapshot } from '../protocol/process-messages.js'
import { BarLine } from './bar-line.js'

/** Draws a job of any kind in the process dialect: a bar, results above it. Where the output is no terminal, one plain line a message. */
export class ProcessDisplay {
  readonly #line: BarLine

  constructor(out: NodeJS.WriteStream) {
    this.#line = new BarLine(out)
  }

  show(message: ProcessSnapshot | LiveProcessMessage, process: Process): void {
    if (message.type === 'process_progress') {
      const { current, total, detail, phase = message.progress.model ?? '' } = message.progress
      this.#line.bar({ percent: total ? Math.min((100 * current) / total, 100) : 0, label: phase, text: detail })
    } else if (message.type === 'process_result') this.#line.line(`  ${JSON.stringify(message.result)}`)
    else if (process.finished_at === null) this.#line.line(`  ${process.status}`)
  }

  finish(final: FinalProcessMessage | null): void {
    this.#line.end()
    if (final?.type === 'process_completed') {
      this.#line.paragraph(`Completed in ${final.compute_time_s} s of computing.\n${JSON.stringify(final.result, null, 2)}`)
    } else if (final?.type === 'process_failed') this.#line.paragraph(final.error)
    else if (final?.type === 'process_cancelled') this.#line.paragraph('Cancelled.')
  }
}
