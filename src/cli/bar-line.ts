import { plainLine, plainLines } from './plain-text.js'

const BAR_WIDTH = 20

/** How far something is, for a bar. */
export interface BarState {
  readonly percent: number
  readonly label: string
  readonly text: string
}

/** A bar that moves in place at the foot of a terminal, with lines that stay above it. Where the output is no terminal, one plain line each. Texts are a job's: no control character of theirs gets out. */
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
    const { percent, label, text } = state
    const filled = Math.round((percent / 100) * BAR_WIDTH)
    const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)}`
    const line = `${bar} ${percent.toFixed(1).padStart(5)} %  ${plainLine(label).padEnd(14)} ${plainLine(text)}`
    if (!this.#out.isTTY) return this.line(line)
    this.#lastLine = line.slice(0, this.#out.columns || 80)
    this.#out.write(`\r\u001b[K${this.#lastLine}`)
  }

  /** A bar that was drawn reaches its end. */
  complete(): void {
    if (this.#lastState && this.#lastState.percent < 100) this.bar({ ...this.#lastState, percent: 100 })
  }

  /** A line that stays, above the bar. */
  line(text: string): void {
    const line = plainLine(text)
    if (!this.#out.isTTY) this.#out.write(`${line}\n`)
    else this.#out.write(`\r\u001b[K${line}\n${this.#lastLine}`)
  }

  /** A text of one or more lines, below an empty one. */
  paragraph(text: string): void {
    for (const line of ['', ...plainLines(text)]) this.line(line)
  }

  /** The bar stays as it is; what comes after begins on a line of its own. */
  end(): void {
    if (this.#lastLine !== '') this.#out.write('\n')
    this.#lastLine = ''
  }
}
