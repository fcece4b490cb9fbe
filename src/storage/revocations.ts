import type { Identity } from '../core/identity.js'

/** Why a session ends whose token was revoked: the text beside the code `unauthenticated`. */
export const REVOKED = 'The token has been revoked.'

/** One token, or all of a user's that were issued before a moment. `until`: when none of these tokens can be valid any more. All in ms since the epoch. */
export type Revocation =
  | { readonly jti: string; readonly until: number }
  | { readonly sub: string; readonly before: number; readonly until: number }

/** A revocation as it is stored: it holds where it was revoked after it was undone. All in ms since the epoch. */
export interface StoredRevocation {
  /** `jti:<jti>` or `sub:<sub>`. */
  readonly id: string
  /** 0 of a `jti`. */
  readonly before: number
  readonly until: number
  readonly revokedAt: number
  /** 0: never. */
  readonly undoneAt: number
}

/** Tokens that are good no longer though they have not expired. A revocation, and its undoing, holds on all nodes within a second. */
export interface Revocations {
  /** Resolves once this node knows what was revoked before it started; from then on at once. Rejects with `overloaded` while that cannot be read. */
  ready(): Promise<void>
  /** Whether this token has been revoked, by what this node knows now. Before `ready` it knows nothing. */
  isRevoked(identity: Identity): boolean
  /** Calls this one listener after each change, so that it can look at every live session again. */
  listen(listener: () => void): void
  /** Resolves when it is stored; other nodes learn of it right then. Rejects with `invalid` where it ends in the past, and with `overloaded` where it may not be stored. */
  revoke(revocation: Revocation): Promise<void>
  /** Takes a revocation back. False where there is none. Rejects with `overloaded` where that may not be stored. */
  undo(id: string): Promise<boolean>
  /** Those that hold, by what this node knows now, the newest first. */
  list(): readonly StoredRevocation[]
  /** Learns and tells nothing more. */
  close(): void
}

const SECOND_MS = 1000

export function idOf(revocation: Revocation): string {
  return 'jti' in revocation ? `jti:${revocation.jti}` : `sub:${revocation.sub}`
}

/**
 * What a node knows of revocations. `iat` mostly comes in whole seconds, rounded down, so a token of the very second of the moment may be older or newer
 * than it; it counts as newer, or whoever signs in again right after a revocation would be refused. A finer `iat` is compared exactly.
 */
export class RevocationList {
  readonly #entries = new Map<string, StoredRevocation>()

  /** All that is known, also what was undone. */
  get all(): readonly StoredRevocation[] {
    return [...this.#entries.values()]
  }

  find(id: string): StoredRevocation | undefined {
    return this.#entries.get(id)
  }

  /** Of two entries of the same id the larger of each number holds, in whatever order they come. False where it changes nothing for any token. */
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

  /** Forgets what cannot matter at `now`. */
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

/** Whether one entry says anything that another one of the same id does not. */
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
