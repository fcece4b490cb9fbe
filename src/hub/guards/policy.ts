import type { Identity } from '../../core/identity.js'
import type { Status } from '../../protocol/status.js'

/** Who may do what. Each member rejects with a `RuncastError`. */
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
