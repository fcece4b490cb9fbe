import type { Tally } from './tally.js'

/** A line of a process's log, parsed. */
export type LogLine = Readonly<Record<string, unknown>>

/** What is no JSON, such as a line that a kill has cut off, is its own message. */
export function parseLine(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine
  } catch {
    return { msg: text }
  }
}

/** What the processes say of themselves: how a round ended by whom, and which writes they were refused. */
export function countLine(tally: Tally, { msg, source, forced, reason, job, round }: LogLine): void {
  if (msg === 'write fenced') tally.count('writes fenced', String(reason))
  if (msg !== 'job ended') return
  tally.count('finals by source', String(source))
  if (forced) tally.count('cancels by force', 'forced')
  tally.count('ends claimed', `${job}~${round}`)
}
