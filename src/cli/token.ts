import { randomUUID } from 'node:crypto'
import { createSigner } from 'fast-jwt'

/** A token for a user (HS256), good for `seconds`; it can be revoked by its `jti`. `claims`: `{ role: 'admin' }`, … */
export function signToken(secret: string, sub: string, seconds: number, claims: Readonly<Record<string, unknown>> = {}): string {
  return createSigner({ key: secret, algorithm: 'HS256', expiresIn: seconds * 1000 })({ sub, jti: randomUUID(), ...claims })
}
