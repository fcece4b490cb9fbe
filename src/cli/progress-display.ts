import type { FinalMessage, JobSnapshot, JobView, LiveMessage } from '../client/job-view.js'

const BAR_WIDTH = 20

/** Draws a run in the terminal: a bar that moves in place, metrics above it. Where the output is no terminal, one plain line a message. */
export class ProgressDisplay {
  readonly #out: NodeJS.WriteStream
  readonly #shown = new Map<string, number>()
  #lastLine = ''

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  show(message: JobSnapshot | LiveMessage, view: JobView): void {
    for (const [name, { value, unit }] of Object.entries(view.metrics)) {
      if (this.#shown.get(name) === value) continue
      this.#shown.set(name, value)
      this.#line(`  ${name.padEnd(28)} ${format(value).padStart(12)} ${unit === '1' ? '' : unit}`)
    }
    if (message.type === 'progress') this.#bar(view)
    else if (message.type === 'status') this.#line(`  ${view.status}`)
  }

  finish(final: FinalMessage | null): void {
    if (this.#lastLine !== '') this.#out.write('\n')
    this.#lastLine = ''
    if (final?.type === 'completed') {
      this.#line(`\nCompleted in ${final.compute_time_s} s of computing.`)
      for (const [name, value] of Object.entries(final.metrics_summary)) this.#line(`  ${name.padEnd(28)} ${format(value).padStart(12)}`)
    } else if (final?.type === 'error') {
      this.#line(`\n${final.error}\n${final.solver_log_tail}`)
    }
  }

  #bar(view: JobView): void {
    const percent = view.percent ?? 0
    const filled = Math.round((percent / 100) * BAR_WIDTH)
    const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`
    const line = `${bar} ${percent.toFixed(1).padStart(5)} %  ${(view.phase ?? '').padEnd(14)} ${view.message ?? ''}`
    if (!this.#out.isTTY) return this.#line(line)
    this.#lastLine = line.slice(0, this.#out.columns || 80)
    this.#out.write(`\r\u001b[K${this.#lastLine}`)
  }

  /** A line that stays, above the bar. */
  #line(text: string): void {
    if (!this.#out.isTTY) this.#out.write(`${text}\n`)
    else this.#out.write(`\r\u001b[K${text}\n${this.#lastLine}`)
  }
}

function format(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(6)
}
