import Type from 'typebox'
import { Compile } from 'typebox/compile'

/**
 * Id of a user or of a token. Well-formed, because Redis would store a lone surrogate, which JSON can hold, as U+FFFD:
 * two ids could collide.
 */
export const UserId = Type.String({ minLength: 1, maxLength: 256, pattern: '^[^\\ud800-\\udfff]*$', description: '1 to 256 characters' })

const validator = Compile(UserId)

export function isUserId(value: unknown): value is string {
  return validator.Check(value)
}
