import { isKind } from '../core/define-kind.js'
import { type Kind, Kinds } from '../core/kind.js'
import { BUILT_IN_KINDS } from '../kinds/index.js'
import { RuncastError } from '../protocol/codes.js'

/**
 * The kinds passed as an option; default: the built-in ones. Throws `invalid` for other values, and if two kinds share
 * a name.
 */
export function kindsOf(given: readonly Kind[] = BUILT_IN_KINDS): Kinds {
  const expected = 'an array of kinds, as defineKind returns them'
  if (!Array.isArray(given) || !given.every(isKind)) throw invalid(expected)
  try {
    return new Kinds(given)
  } catch (error) {
    // The message names the conflict.
    throw error instanceof TypeError ? invalid(error.message) : error
  }
}

/** The name of a kind that is known. Throws `invalid` for any other name. */
export function knownName(kinds: Kinds, name: string): string {
  if (kinds.find(name)) return name
  throw new RuncastError('invalid', { issues: [{ path: '/kind', expected: `one of ${kinds.names.join(', ')}` }] })
}

function invalid(expected: string): RuncastError {
  return new RuncastError('invalid', { message: `kinds: ${expected}`, issues: [{ path: '/kinds', expected }] })
}
