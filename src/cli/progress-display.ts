import type { FinalMessage, JobSnapshot, JobView, LiveMessage } from '../client/job-view.js'
import { BarLine, formatNumber } from './bar-line.js'

/** Draws a job in the run dialect: a bar, metrics above it. Where the output is no terminal, one plain line a message. */
export class ProgressDisplay {
  readonly #line: BarLine
  readonly #shown = new Map<string, number>()

  constructor(out: NodeJS.WriteStream) {
    this.#line = new BarLine(out)
  }

  show(message: JobSnapshot | LiveMessage, view: JobView): void {
    for (const [name, { value, unit }] of Object.entries(view.metrics)) {
      if (this.#shown.get(name) === value) continue
      this.#shown.set(name, value)
      this.#line.line(`  ${name.padEnd(28)} ${formatNumber(value).padStart(12)} ${unit === '1' ? '' : unit}`)
    }
    if (message.type === 'progress') {
      this.#line.bar({ percent: view.percent ?? 0, label: view.phase ?? '', text: view.message ?? '' })
    } else if (message.type === 'status') this.#line.line(`  ${view.status}`)
    else if (message.type === 'optimization_iteration' && (message.pareto_updated || !this.#line.isTerminal)) {
      this.#line.line(`  iteration ${message.iteration}${message.pareto_updated ? ', on the front' : ''}: ${fieldsOf(message.metrics)}`)
    }
  }

  finish(final: FinalMessage | null): void {
    this.#line.end()
    if (final?.type === 'completed') {
      this.#line.paragraph(`Completed in ${final.compute_time_s} s of computing.`)
      for (const [name, value] of Object.entries(final.metrics_summary)) {
        this.#line.line(`  ${name.padEnd(28)} ${formatNumber(value).padStart(12)}`)
      }
    } else if (final?.type === 'error') {
      this.#line.paragraph(`${final.error}\n${final.solver_log_tail}`.trimEnd())
    } else if (final?.type === 'cancelled') {
      this.#line.paragraph('Cancelled.')
    }
  }
}

function fieldsOf(numbers: Readonly<Record<string, number>>): string {
  return Object.entries(numbers)
    .map(([name, value]) => `${name} ${formatNumber(value)}`)
    .join(', ')
}
