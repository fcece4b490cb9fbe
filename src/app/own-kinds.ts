import { isKind } from '../core/define-kind.js'
import { type Kind, Kinds } from '../core/kind.js'
import { invalidOption } from '../core/known-options.js'
import { BUILT_IN_KINDS } from '../kinds/index.js'

/**
 * The kinds passed as an option; default: the built-in ones. Throws `invalid` for other values, and if two kinds share
 * a name.
 */
export function kindsOf(given: readonly Kind[] = BUILT_IN_KINDS): Kinds {
  const expected = 'an array of kinds, as defineKind returns them'
  if (!Array.isArray(given) || !given.every(isKind)) throw invalidOption('kinds', expected)
  return combined('kinds', given)
}

/** These kinds, from an option. Throws `invalid` if two share a name. */
export function combined(option: string, kinds: readonly Kind[]): Kinds {
  try {
    return new Kinds(kinds)
  } catch (error) {
    throw error instanceof TypeError ? invalidOption(option, `kinds without a conflict; ${error.message}`) : error
  }
}

/** The name of a kind that is known. Throws `invalid` for any other name. `more`: how to add a kind. */
export function knownName(kinds: Kinds, name: string, more = ''): string {
  if (kinds.find(name)) return name
  throw invalidOption('kind', `one of ${kinds.names.join(', ')}${more}`)
}
