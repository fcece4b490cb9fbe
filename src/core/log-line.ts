import { LOG_LEVELS, type LogLevel, type LogLine } from '../protocol/log-messages.js'
import { storeClock } from './store-clock.js'

/** What a processor may pass to `log`. */
export type Loggable = string | { readonly level?: LogLevel; readonly message: string }

/** Maximum bytes of the text of a line, in UTF-8. */
export const MAX_LINE_BYTES = 8192
const ELLIPSIS = '…'
const encoder = new TextEncoder()
const whole = new Uint8Array(MAX_LINE_BYTES)
const shortened = whole.subarray(0, MAX_LINE_BYTES - encoder.encode(ELLIPSIS).length)

/** Fields of a line besides its text. */
export interface LineFields {
  readonly level?: LogLevel | undefined
  readonly attempt?: number
}

/**
 * The lines of a text, stamped now. A carriage return starts a line again, as on a terminal: of progress bars that
 * overwrite each other the last one counts. A line that is too long is cut and ends in an ellipsis.
 */
export function logLines(text: string, { level, attempt = 1 }: LineFields = {}): LogLine[] {
  const more = { ...(attempt > 1 && { attempt }), timestamp: storeClock.stamp() }
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/)
  return lines.map((line) => ({ ...(level !== undefined && { level }), text: cut(lastWritten(line)), ...more }))
}

/** Level and text of what a processor has logged; other values than a text as `textOf` shows them. */
export function loggedOf(value: unknown, textOf: (value: unknown) => string): { readonly level?: LogLevel; readonly text: string } {
  if (typeof value !== 'object' || value === null || !('message' in value) || value instanceof Error) return { text: textOf(value) }
  const level = 'level' in value ? LOG_LEVELS.find((known) => known === value.level) : undefined
  return { ...(level !== undefined && { level }), text: textOf(value.message) }
}

/**
 * A line as JSON. Characters that control a terminal or reorder text are escaped, so that the JSON itself is harmless
 * wherever it is shown.
 */
export function lineJson(line: LogLine): string {
  return JSON.stringify(line).replaceAll(/[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function lastWritten(line: string): string {
  if (!line.includes('\r')) return line
  return line.split('\r').findLast((part) => part.trim() !== '') ?? ''
}

/** Between characters. */
function cut(text: string): string {
  if (text.length * 3 <= MAX_LINE_BYTES || encoder.encodeInto(text, whole).read === text.length) return text
  return `${text.slice(0, encoder.encodeInto(text, shortened).read)}${ELLIPSIS}`
}
