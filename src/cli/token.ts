import { randomUUID } from 'node:crypto'
import { createSigner } from 'fast-jwt'

/**
 * Signs a token for a user (HS256), valid for `seconds`. It can be revoked by its `jti`. `claims`: additional token
 * claims, such as `{ role: 'admin' }`.
 */
export function signToken(secret: string, sub: string, seconds: number, claims: Readonly<Record<string, unknown>> = {}): string {
  return createSigner({ key: secret, algorithm: 'HS256', expiresIn: seconds * 1000 })({ sub, jti: randomUUID(), ...claims })
}
