/** A part that one process at a time plays, of all that share a Redis. Whoever dies loses it when its lease runs out; two may believe for a moment that they have it. */
export interface Lease {
  /** Takes it where nobody has it, and keeps it for another while. Rejects with the refusal `overloaded` where Redis cannot be reached. */
  hold(): Promise<boolean>
  /** Gives it back, so that the next one need not wait. */
  release(): Promise<void>
}
