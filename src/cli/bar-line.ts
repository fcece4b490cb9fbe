import { cutTo, padTo } from './columns.js'
import { plainLine, plainLines } from './plain-text.js'

const BAR_WIDTH = 20

/** Progress to show as a bar. */
export interface BarState {
  readonly percent: number
  readonly label: string
  readonly text: string
  /** Estimated rest in seconds, if known. */
  readonly eta_s?: number | null | undefined
}

/**
 * A bar that is updated in place at the bottom of a terminal, with permanent lines above it. If the output is not a
 * terminal, each update is one plain line. Texts come from jobs, so all their control characters are removed.
 */
export class BarLine {
  readonly #out: NodeJS.WriteStream
  #lastLine = ''
  #lastState: BarState | undefined

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
  }

  get isTerminal(): boolean {
    return this.#out.isTTY
  }

  bar(state: BarState): void {
    this.#lastState = state
    const { percent, label, text, eta_s } = state
    const filled = Math.round((percent / 100) * BAR_WIDTH)
    const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`
    const left = typeof eta_s === 'number' ? `${durationOf(eta_s)} left  ` : ''
    const line = `${bar} ${percent.toFixed(1).padStart(5)} %  ${padTo(14, plainLine(label))} ${left}${plainLine(text)}`
    if (!this.#out.isTTY) return this.line(line)
    this.#lastLine = cutTo(this.#out.columns || 80, line)
    this.#out.write(`\r\u001b[K${this.#lastLine}`)
  }

  /** Completes the bar if one was drawn. */
  complete(): void {
    if (this.#lastState && this.#lastState.percent < 100) this.bar({ ...this.#lastState, percent: 100, eta_s: null })
  }

  /** Prints a permanent line above the bar. */
  line(text: string): void {
    const line = plainLine(text)
    if (!this.#out.isTTY) this.#out.write(`${line}\n`)
    else this.#out.write(`\r\u001b[K${line}\n${this.#lastLine}`)
  }

  /** Prints a text of one or more lines after an empty one. */
  paragraph(text: string): void {
    for (const line of ['', ...plainLines(text)]) this.line(line)
  }

  /** Leaves the bar as it is. Later output starts on a new line. */
  end(): void {
    if (this.#lastLine !== '') this.#out.write('\n')
    this.#lastLine = ''
  }
}

/** 45 s, 2 min 5 s, 3 h 20 min. */
function durationOf(seconds: number): string {
  const s = Math.round(seconds)
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
}
