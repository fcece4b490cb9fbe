import type { RequestFailureCode } from '../../src/kinds/benchmark/result.js'
import type { OpenAIPackage } from './openai.js'
import type { Secrets } from './secrets.js'
import { AnswerFault } from './stream.js'

/** A failed request: the reason, for programs and for people. It never contains a key. */
export interface Failure {
  readonly code: RequestFailureCode
  readonly error: string
}

const MAX_QUOTE_CHARS = 300
/** Longer texts of an endpoint are not read beyond this. */
const MAX_READ_CHARS = 10_000

const BY_STATUS: Readonly<Record<number, { code: RequestFailureCode; says: string }>> = {
  401: { code: 'unauthorized', says: 'The endpoint does not accept the key' },
  403: { code: 'forbidden', says: 'The key does not allow this' },
  404: { code: 'not_found', says: 'The endpoint has no such model or address' },
  429: { code: 'rate_limited', says: 'The endpoint limits the rate' },
}

/**
 * The failure that an error of the client library describes. `hasAnswered`: the answer had begun. Texts of the endpoint
 * are quoted without secrets.
 */
export function failureOf(
  error: unknown,
  hasAnswered: boolean,
  secrets: Secrets,
  { APIConnectionError, APIError }: OpenAIPackage,
): Failure {
  const fault = faultIn(error)
  if (fault) {
    const words = quote(fault.words, secrets)
    return { code: fault.code, error: `${fault.message}${words === '' ? '.' : `: ${words}`}` }
  }
  if (error instanceof APIConnectionError) return { code: 'unreachable', error: `The endpoint cannot be reached${causeOf(error)}.` }
  if (error instanceof APIError) {
    const { code, says } = kindOf(error.status)
    return { code, error: `${says}${error.status === undefined ? '' : ` (${error.status})`}: ${quote(error.message, secrets)}` }
  }
  if (error instanceof SyntaxError) return { code: 'bad_answer', error: 'What the endpoint sent cannot be read.' }
  return hasAnswered
    ? { code: 'stream_cut', error: `The connection ended before the answer did${causeOf(error)}.` }
    : { code: 'unreachable', error: `The endpoint cannot be reached${causeOf(error)}.` }
}

/** The error below an error of the client library, which wraps the errors of its `fetch`. */
function faultIn(error: unknown): AnswerFault | null {
  if (error instanceof AnswerFault) return error
  return error instanceof Error && error.cause instanceof AnswerFault ? error.cause : null
}

function kindOf(status: number | undefined): { code: RequestFailureCode; says: string } {
  if (status === undefined) return { code: 'stream_error', says: 'The endpoint reported an error in the stream' }
  if (status >= 500) return { code: 'server_error', says: 'The endpoint failed' }
  return BY_STATUS[status] ?? { code: 'rejected', says: 'The endpoint refused the request' }
}

/** The code of the underlying system error, as in ` (ECONNREFUSED)`. */
function causeOf(error: unknown): string {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if ('code' in at && typeof at.code === 'string' && /^[A-Z][A-Z0-9_]+$/.test(at.code)) return ` (${at.code})`
  }
  return ''
}

function quote(text: string, secrets: Secrets): string {
  return secrets.scrub(text.slice(0, MAX_READ_CHARS)).replace(/\s+/g, ' ').slice(0, MAX_QUOTE_CHARS)
}
