import Type from 'typebox'
import { Compile } from 'typebox/compile'

/**
 * The name of a user or of a token. It is well formed: of half a surrogate pair, which JSON can hold, Redis would keep U+FFFD, and so the name of somebody else.
 */
export const UserId = Type.String({ minLength: 1, maxLength: 256, pattern: '^\\P{Surrogate}*$', description: '1 to 256 characters' })

const validator = Compile(UserId)

export function isUserId(value: unknown): value is string {
  return validator.Check(value)
}
