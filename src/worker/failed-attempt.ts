import { shortened } from '../protocol/json-value.js'
import type { AttemptFailure } from './run-job.js'
import { asError } from './thrown.js'

/** Maximum causes of an error that are logged, one below the other. */
const MAX_CAUSES = 5
const MAX_CHARS = 20_000

/**
 * The log entry of a failed attempt. Of an error only its texts are logged: fields that a library has added may contain
 * what it was called with, such as the headers of a request.
 */
export function failedAttempt(job: string, { attempt, error, logTail }: AttemptFailure): object {
  const { kind, number, of: max_attempts } = attempt
  return {
    job,
    kind: kind.name,
    attempt: number,
    max_attempts,
    error: shownText(asError(error).message),
    ...(error instanceof Error && { stack: shownText(stackOf(error)) }),
    ...(logTail !== '' && { log_tail: shownText(logTail) }),
  }
}

function shownText(text: string): string {
  return withoutSecrets(shortened(text, MAX_CHARS))
}

/** The stack of the error, followed by the stacks of its causes. */
function stackOf(error: Error): string {
  const stacks: string[] = []
  for (let at: unknown = error; at instanceof Error && stacks.length < MAX_CAUSES; at = at.cause) stacks.push(at.stack ?? String(at))
  return stacks.join('\ncaused by: ')
}

/**
 * Masks text that looks like a secret: passwords in URLs, bearer tokens, JWTs, and the values of names such as
 * `password` or `token`.
 */
export function withoutSecrets(text: string): string {
  return text
    .replace(/(:\/\/[^\s/:@]*):[^\s/@]+@/g, '$1:***@')
    .replace(/\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, '$1 ***')
    .replace(/\beyJ[\w-]+\.[\w-]+\.[\w-]*/g, '***')
    .replace(/\bsk-[\w-]{8,}/g, '***')
    .replace(/((?:password|passwd|secret|token|api[_-]?key)["']?\s*[=:]\s*["']?)[^\s"'&,;]+/gi, '$1***')
}
