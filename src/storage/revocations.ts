import type { Identity } from '../core/identity.js'

/** Text beside the code `unauthenticated` when a session ends because its token was revoked. */
export const REVOKED = 'The token has been revoked.'

/**
 * Revokes one token (`jti`), or all tokens of a user that were issued before a time (`sub`, `before`). `until`: when
 * the last of these tokens has expired. All times in ms since the epoch.
 */
export type Revocation =
  | { readonly jti: string; readonly until: number }
  | { readonly sub: string; readonly before: number; readonly until: number }

/** A revocation as stored. It is in effect if it was revoked after it was undone. All times in ms since the epoch. */
export interface StoredRevocation {
  /** `jti:<jti>` or `sub:<sub>`. */
  readonly id: string
  /** 0 for a `jti`. */
  readonly before: number
  readonly until: number
  readonly revokedAt: number
  /** 0: never undone. */
  readonly undoneAt: number
}

/**
 * Tokens that are invalid although they have not expired. A revocation, or its undoing, takes effect on all nodes
 * within a second.
 */
export interface Revocations {
  /**
   * Resolves once this node has loaded the revocations made before it started; after that, immediately. Rejects with
   * `overloaded` while they cannot be read.
   */
  ready(): Promise<void>
  /** Whether this token has been revoked, as far as this node knows now. Before `ready` it knows nothing. */
  isRevoked(identity: Identity): boolean
  /** Sets the one listener that is called after each change, so that it can check all live sessions again. */
  listen(listener: () => void): void
  /**
   * Resolves when the revocation is stored; other nodes are notified at once. Rejects with `invalid` if `until` is in
   * the past, and with `overloaded` if the revocation may not be stored.
   */
  revoke(revocation: Revocation): Promise<void>
  /**
   * Undoes a revocation. Resolves to false if there is none. Rejects with `overloaded` if the change may not be stored.
   */
  undo(id: string): Promise<boolean>
  /** Revocations in effect, as far as this node knows now, newest first. */
  list(): readonly StoredRevocation[]
  /** Stops receiving and sending changes. */
  close(): void
}

const SECOND_MS = 1000

export function idOf(revocation: Revocation): string {
  return 'jti' in revocation ? `jti:${revocation.jti}` : `sub:${revocation.sub}`
}

/**
 * The revocations that a node knows. `iat` usually has whole seconds, rounded down. A token issued in the same second
 * as the revocation may be older or newer than it; it counts as newer, so that a user who signs in again right after a
 * revocation is accepted. An `iat` with fractions of a second is compared exactly.
 */
export class RevocationList {
  readonly #entries = new Map<string, StoredRevocation>()

  /** All known entries, including undone ones. */
  get all(): readonly StoredRevocation[] {
    return [...this.#entries.values()]
  }

  find(id: string): StoredRevocation | undefined {
    return this.#entries.get(id)
  }

  /**
   * Merges an entry: each number becomes the larger one of both entries, so the order of arrival does not matter.
   * Returns false if no token is affected.
   */
  add(entry: StoredRevocation): boolean {
    const known = this.#entries.get(entry.id)
    const merged = known ? merge(known, entry) : entry
    this.#entries.set(entry.id, merged)
    return !known || isHolding(known) !== isHolding(merged) || known.before !== merged.before || known.until !== merged.until
  }

  isRevoked({ jti, sub, issuedAt }: Identity): boolean {
    if (jti !== undefined && this.#holding(`jti:${jti}`)) return true
    const before = this.#holding(`sub:${sub}`)?.before ?? 0
    return issuedAt < (issuedAt % SECOND_MS === 0 ? before - (before % SECOND_MS) : before)
  }

  /** Removes entries that have no effect any more at `now`. */
  forget(now: number): void {
    for (const [id, { until }] of this.#entries) if (until <= now) this.#entries.delete(id)
  }

  #holding(id: string): StoredRevocation | undefined {
    const entry = this.#entries.get(id)
    return entry && isHolding(entry) ? entry : undefined
  }
}

export function isHolding({ revokedAt, undoneAt }: StoredRevocation): boolean {
  return revokedAt > undoneAt
}

/** Whether one entry has information that the other entry of the same id lacks. */
export function isAhead(entry: StoredRevocation, other: StoredRevocation): boolean {
  return !isSame(other, merge(other, entry))
}

function merge(a: StoredRevocation, b: StoredRevocation): StoredRevocation {
  return {
    id: a.id,
    before: Math.max(a.before, b.before),
    until: Math.max(a.until, b.until),
    revokedAt: Math.max(a.revokedAt, b.revokedAt),
    undoneAt: Math.max(a.undoneAt, b.undoneAt),
  }
}

function isSame(a: StoredRevocation, b: StoredRevocation): boolean {
  return a.before === b.before && a.until === b.until && a.revokedAt === b.revokedAt && a.undoneAt === b.undoneAt
}
