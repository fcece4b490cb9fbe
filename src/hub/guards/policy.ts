import type { Identity } from '../../core/identity.js'
import type { Status } from '../../protocol/status.js'

/** Authentication and authorization. Each member rejects with a `RuncastError`. */
export interface Policy {
  /**
   * Reads a token. Rejects with `unauthenticated` (also if it was revoked), `expired`, or `overloaded` while revocation
   * cannot be checked.
   */
  authenticate(token: string): Promise<Identity>
  /**
   * Takes one of the user's slots for a session. The returned function frees it. If the user has no slot left, `probe`
   * pings this session and resolves to whether it has freed its slot because no answer came.
   */
  enter(identity: Identity, probe: () => Promise<boolean>): Promise<() => void>
  /** Whether this user may view the jobs of `owner`. */
  mayView(identity: Identity, owner: string): boolean
  /** Requests the cancellation of a job and returns its current status. Rejects with `not_found` or `already_final`. */
  cancel(identity: Identity, id: string): Promise<Status>
}
