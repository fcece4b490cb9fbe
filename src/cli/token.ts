import { createSigner } from 'fast-jwt'

/** A token for a user (HS256), good for `seconds`. */
export function signToken(secret: string, sub: string, seconds: number): string {
  return createSigner({ key: secret, algorithm: 'HS256', expiresIn: seconds * 1000 })({ sub })
}
