import { NotJson } from '../../protocol/json-value.js'
import { JobFailure } from '../processor.js'
import { asError } from '../thrown.js'
import type { Fault } from './messages.js'

/** A `NotJson` is an error of the processor that another attempt would repeat. */
export function faultOf(error: unknown): Fault {
  const { name, message, stack } = asError(error)
  const failure =
    error instanceof JobFailure ? { code: error.code, retry: error.retry } : error instanceof NotJson ? { code: 'solver_error' } : undefined
  return { name, message, ...(stack !== undefined && { stack }), ...(failure && { failure }) }
}

/** The error of a fault: a `JobFailure` stays one. */
export function errorOf({ name, message, stack, failure }: Fault): Error {
  const error = failure ? new JobFailure(failure.code, message, failure) : Object.assign(new Error(message), { name })
  // The stack in the thread where it was thrown.
  if (stack !== undefined) error.stack = stack
  return error
}
