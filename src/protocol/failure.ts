import Type from 'typebox'
import { CODES, FAILURE_CODES, type FailureCode, STORE_REASONS } from './codes.js'

/** A `FailureCode`, or a code of a kind's own: see `failureCodeFault`. */
export type AnyFailureCode = FailureCode | (string & Record<never, never>)

/** The form of every `AnyFailureCode`. */
export const FAILURE_CODE_PATTERN = '^[a-z][a-z0-9_]{0,63}$'
const form = new RegExp(FAILURE_CODE_PATTERN)

export function isFailureCode(code: string): code is FailureCode {
  return (FAILURE_CODES as readonly string[]).includes(code)
}

/**
 * What is expected instead of this code of a failure; null for a valid code. Codes of this package with another meaning
 * are not valid.
 */
export function failureCodeFault(code: string): string | null {
  if (!form.test(code)) return 'a code of 1 to 64 characters: a-z, 0-9 and _, beginning with a letter'
  const isTaken = code === 'cancelled' || Object.hasOwn(CODES, code) || Object.hasOwn(STORE_REASONS, code)
  return isTaken ? `one of ${FAILURE_CODES.join(', ')}, or a code of your own` : null
}

/** Longest delay before the next attempt that a failure may ask for: 24 hours. */
export const MAX_RETRY_DELAY_MS = 24 * 3600_000

/** Whether another attempt follows a failure, if one is left: `true` after the usual delay. */
export type FailureRetry = boolean | { readonly delayMs: number }

/** A failure as a program or a worker over HTTP reports it. */
export const FailureFields = {
  error: Type.String({ maxLength: 10_000 }),
  code: Type.String({
    pattern: FAILURE_CODE_PATTERN,
    default: 'solver_error',
    description: 'solver_error, endpoint_error, timeout, invalid_input, or a code of your own',
  }),
  retry: Type.Optional(
    Type.Boolean({ description: 'true: start another attempt if one is left; default: true with retry_delay_ms, else false' }),
  ),
  retry_delay_ms: Type.Optional(
    Type.Integer({ minimum: 0, maximum: MAX_RETRY_DELAY_MS, description: 'delay before the next attempt, instead of the usual one' }),
  ),
}

/** The retry that a reported failure asks for. */
export function retryOf({ retry, retry_delay_ms }: { readonly retry?: boolean; readonly retry_delay_ms?: number }): FailureRetry {
  if (retry_delay_ms === undefined) return retry ?? false
  return retry === false ? false : { delayMs: retry_delay_ms }
}

/** As `failureCodeFault`, for a code that is reported: nobody reports that the own worker is lost. */
export function reportedCodeFault(code: string): string | null {
  return code === 'worker_lost' ? 'a code that a worker can report' : failureCodeFault(code)
}
