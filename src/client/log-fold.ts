import type { LogLine } from '../protocol/log-messages.js'
import type { Received } from './hub-socket.js'

/** A line of the log of a job with its number. Numbers rise by 1 from 1 within an execution. */
export interface NumberedLine extends LogLine {
  readonly n: number
}

/** A message with log lines, in either dialect. */
export interface LogMessage {
  readonly type: 'log' | 'process_log'
  readonly epoch: string
  readonly first: number
  readonly lines: readonly LogLine[]
  readonly end?: true
}

export function isLogMessage(message: Received): message is LogMessage {
  const { first, lines, epoch } = message as Partial<LogMessage>
  return (
    (message.type === 'log' || message.type === 'process_log') &&
    typeof epoch === 'string' &&
    typeof first === 'number' &&
    Array.isArray(lines)
  )
}

/** The lines that a message adds. */
export interface AddedLines {
  readonly lines: readonly NumberedLine[]
  /** Earlier lines belong to another log, such as that of an earlier execution. */
  readonly isReset: boolean
}

/** Which line of a log comes next, over any number of connections: each line is added once and in order. */
export class LogPosition {
  #epoch: string | null
  #last: number

  /** `after`: the last line that is known. */
  constructor(after?: { readonly epoch: string; readonly n: number }) {
    this.#epoch = after?.epoch ?? null
    this.#last = after?.n ?? 0
  }

  /** Parameters of a connect that continues here. */
  get query(): Readonly<Record<string, string>> {
    return { log: '1', log_after: String(this.#last), ...(this.#epoch !== null && { log_epoch: this.#epoch }) }
  }

  /** Fields of a `subscribe` that continues here. */
  get request(): { readonly log: true; readonly log_after: number; readonly log_epoch?: string } {
    return { log: true, log_after: this.#last, ...(this.#epoch !== null && { log_epoch: this.#epoch }) }
  }

  get position(): { readonly epoch: string; readonly n: number } | null {
    return this.#epoch === null ? null : { epoch: this.#epoch, n: this.#last }
  }

  add({ epoch, first, lines }: LogMessage): AddedLines {
    const isReset = this.#epoch !== null && this.#epoch !== epoch
    if (this.#epoch !== epoch) this.#last = 0
    this.#epoch = epoch
    const numbered = lines.map((line, i) => ({ ...line, n: first + i })).filter(({ n }) => n > this.#last)
    this.#last = numbered.at(-1)?.n ?? this.#last
    return { lines: numbered, isReset }
  }
}
