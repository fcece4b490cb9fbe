import { NotJson } from '../../protocol/json-value.js'
import { JobFailure } from '../processor.js'
import { asError } from '../thrown.js'
import type { Fault } from './messages.js'

/** A `NotJson` is an error of the processor that another attempt would repeat. */
export function faultOf(error: unknown): Fault {
  const { name, message, stack } = asError(error)
  const code = error instanceof JobFailure ? error.code : error instanceof NotJson ? 'solver_error' : undefined
  return { name, message, ...(stack !== undefined && { stack }), ...(code !== undefined && { code }) }
}

/** The error of a fault: a `JobFailure` stays one. */
export function errorOf({ name, message, stack, code }: Fault): Error {
  const error = code === undefined ? Object.assign(new Error(message), { name }) : new JobFailure(code, message)
  // The stack in the thread where it was thrown.
  if (stack !== undefined) error.stack = stack
  return error
}
