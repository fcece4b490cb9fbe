import type { Identity } from './policy.js'

/** Why a session ends whose token was revoked: the text beside the code `unauthenticated`. */
export const REVOKED = 'The token has been revoked.'

/** One token, or all of a user's that were issued before a moment. `until`: when none of these tokens can be valid any more. All in ms since the epoch. */
export type Revocation =
  | { readonly jti: string; readonly until: number }
  | { readonly sub: string; readonly before: number; readonly until: number }

/** Tokens that are good no longer though they have not expired. A revocation holds on all nodes within a second and cannot be taken back. */
export interface Revocations {
  /** Resolves once this node knows what was revoked before it started; from then on at once. Rejects with `overloaded` while that cannot be read. */
  ready(): Promise<void>
  /** Whether this token has been revoked, by what this node knows now. Before `ready` it knows nothing. */
  isRevoked(identity: Identity): boolean
  /** Calls this one listener after each change, so that it can look at every live session again. */
  listen(listener: () => void): void
  /** Resolves when it is stored; other nodes learn of it right then. Rejects with `overloaded` where it may not be. */
  revoke(revocation: Revocation): Promise<void>
  /** Learns and tells nothing more. */
  close(): void
}

const SECOND_MS = 1000

/**
 * What a node knows of revocations. `iat` mostly comes in whole seconds, rounded down, so a token of the very second of the moment may be older or newer
 * than it; it counts as newer, or whoever signs in again right after a revocation would be refused. A finer `iat` is compared exactly.
 */
export class RevocationList {
  readonly #tokens = new Map<string, number>()
  readonly #users = new Map<string, { before: number; until: number }>()

  get size(): number {
    return this.#tokens.size + this.#users.size
  }

  /** Of two revocations of the same, the wider holds. False where it says nothing new. */
  add(revocation: Revocation): boolean {
    if ('jti' in revocation) {
      const known = this.#tokens.get(revocation.jti) ?? 0
      this.#tokens.set(revocation.jti, Math.max(known, revocation.until))
      return revocation.until > known
    }
    const { sub, before, until } = revocation
    const known = this.#users.get(sub) ?? { before: 0, until: 0 }
    this.#users.set(sub, { before: Math.max(known.before, before), until: Math.max(known.until, until) })
    return before > known.before || until > known.until
  }

  isRevoked({ jti, sub, issuedAt }: Identity): boolean {
    if (jti !== undefined && this.#tokens.has(jti)) return true
    const before = this.#users.get(sub)?.before ?? 0
    return issuedAt < (issuedAt % SECOND_MS === 0 ? before - (before % SECOND_MS) : before)
  }

  /** Forgets what cannot matter at `now`. */
  forget(now: number): void {
    for (const [jti, until] of this.#tokens) if (until <= now) this.#tokens.delete(jti)
    for (const [sub, { until }] of this.#users) if (until <= now) this.#users.delete(sub)
  }
}
