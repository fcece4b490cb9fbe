import { inspect } from 'node:util'
import { shown } from '../protocol/json-value.js'

/**
 * Converts a thrown value to an error with a text. JavaScript can throw any value, even one that cannot be converted to
 * a string.
 */
export function asError(thrown: unknown): Error {
  if (thrown instanceof Error && typeof thrown.message === 'string') return thrown
  if (typeof thrown === 'string') return new Error(thrown)
  const message: unknown = typeof thrown === 'object' && thrown !== null && 'message' in thrown ? thrown.message : undefined
  return new Error(typeof message === 'string' ? message : shown(thrown))
}

/** A line of a job's log: a string as it is, any other value as the console shows it. */
export function lineOf(line: unknown): string {
  return typeof line === 'string' ? line : inspect(line)
}
