import { RuncastError } from '../protocol/codes.js'

/** The error for an option with an invalid value. `option`: its name. */
export function invalidOption(option: string, expected: string): RuncastError {
  return new RuncastError('invalid', { message: `${option}: expected ${expected}`, issues: [{ path: `/${option}`, expected }] })
}

/** Throws `invalid` for options that do not exist, with the known ones. `at`: JSON Pointer of the object. */
export function rejectUnknownOptions(options: object, known: readonly string[], at = ''): void {
  const unknown = Object.keys(options).filter((name) => !known.includes(name))
  if (unknown.length === 0) return
  const issues = unknown.map((name) => ({ path: `${at}/${name}`, expected: `to be absent: the options are ${known.join(', ')}` }))
  throw new RuncastError('invalid', { message: `unknown option ${unknown.join(', ')}: expected one of ${known.join(', ')}`, issues })
}
