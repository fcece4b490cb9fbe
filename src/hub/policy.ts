import type { Status } from '../protocol/status.js'

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

/** Who may do what. Each member rejects with a `Refusal`. */
export interface Policy {
  /** Reads a token. Rejects with `unauthenticated` (also when it has been revoked), `expired`, or `overloaded` while that cannot be told. */
  authenticate(token: string): Promise<Identity>
  /**
   * Takes one of the user's places for a session; the function that it resolves to gives it back. `probe` asks this session for a sign of life when the
   * user has no place left, and resolves to whether it has given its place back since there was none.
   */
  enter(identity: Identity, probe: () => Promise<boolean>): Promise<() => void>
  mayView(identity: Identity, owner: string): boolean
  /** Asks for the end of a job and answers with its status now. Rejects with `not_found` or `already_final`. */
  cancel(identity: Identity, id: string): Promise<Status>
}
