/** What the workers of a process have done for their processors. */
export class WorkTally {
  transients = 0
  persisted = 0
  /** Ticks that a newer one superseded before they were written. */
  coalesced = 0
  /** Writes that were sent again. */
  retries = 0
  /** Steps of optimizations. */
  steps = 0
}
