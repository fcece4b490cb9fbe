import { RuncastError } from '../protocol/codes.js'

/** Throws `invalid` with the options that exist for one that does not, which only JavaScript can pass: it would have no effect. `at`: JSON pointer of the object. */
export function refuseUnknown(options: object, known: readonly string[], at = ''): void {
  const unknown = Object.keys(options).filter((name) => !known.includes(name))
  if (unknown.length === 0) return
  const issues = unknown.map((name) => ({ path: `${at}/${name}`, expected: `to be one of ${known.join(', ')}` }))
  throw new RuncastError('invalid', { message: `unknown option ${unknown.join(', ')}: there are ${known.join(', ')}`, issues })
}
