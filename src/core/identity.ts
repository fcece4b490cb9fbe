export type Role = 'user' | 'admin' | 'worker'

/** The verified identity of a token. */
export interface Identity {
  readonly sub: string
  readonly role: Role
  /** Of a worker: the kinds whose jobs it may claim. Default: all. */
  readonly kinds?: readonly string[]
  /** ms since the epoch. */
  readonly expiresAt: number
  /** When the token was issued, ms since the epoch. 0 without `iat`, so that it counts as the oldest. */
  readonly issuedAt: number
  /** Id of the token, for revoking it alone. */
  readonly jti?: string
}
