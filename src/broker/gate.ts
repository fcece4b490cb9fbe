import type { KindName } from '../protocol/kinds.js'
import type { JobRound } from './job-store.js'

/** A round at the gate, and whose it is. */
export interface GateRound extends JobRound {
  readonly kind: KindName
  readonly owner: string
}

/** `waiting`: it has not been let in. `admitted`: it has, and holds one of its owner's places until it leaves. */
export type GateState = 'waiting' | 'admitted'

/** Why a round is not taken. `hour`: its owner has submitted too many; `waiting`: too many of the owner's wait; `full`: too many of all users wait. */
export type Reserved =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'hour' | 'waiting' | 'full'; readonly retryAfterMs: number }

export interface GateLimits {
  /** Most admitted rounds of one user, over all kinds. */
  readonly maxActivePerUser: number
  /** Most new rounds of one user in an hour. */
  readonly maxPerHour: number
  readonly maxWaitingPerUser: number
  readonly maxWaiting: number
}

/**
 * Where rounds wait until it is their turn, so that the queue of the workers is never long. Users take turns: of those who have a waiting round of a kind and
 * a place left, the one comes next who was let in longest ago, or never; within a user it goes by order of entry. At most one admitted round of a kind has
 * not been started: the window. Each member is one atomic act, for any number of callers, and rejects with `overloaded` where Redis cannot be reached.
 */
export interface Gate {
  /**
   * Counts a round against its owner's hour, or says why not and when to ask again. For new rounds, before anything is written of them; the same round again is
   * counted once. What waits is counted as it is now: submits that are under way at the same moment may pass that limit by their number.
   */
  reserve(owner: string, round: JobRound): Promise<Reserved>
  /** Lets a round wait. One that is here already stays what it is. */
  enter(round: GateRound): Promise<GateState>
  /** Admits the next round of a kind; null where the window is taken or nobody has both a round and a place. Whoever gets it hands it to the workers. */
  next(kind: KindName): Promise<JobRound | null>
  /** Frees the window. Answers whether the round was in it. */
  started(kind: KindName, round: JobRound): Promise<boolean>
  /** Takes a round away, whatever it is here, with its place. Answers whether it was here. */
  leave(round: JobRound): Promise<boolean>
  /** Null: it is not here. */
  state(round: JobRound): Promise<GateState | null>
  /** The rounds of a kind that were admitted and have not been started. */
  window(kind: KindName): Promise<readonly JobRound[]>
}
