export type Role = 'user' | 'admin' | 'worker'

/** Whom a token speaks for. */
export interface Identity {
  readonly sub: string
  readonly role: Role
  /** ms since the epoch. */
  readonly expiresAt: number
  /** When the token was issued, ms since the epoch; 0 where it does not say, so that it counts as older than any other. */
  readonly issuedAt: number
  /** The token's own id, by which it alone can be revoked. */
  readonly jti?: string
}
