/** Counters of the workers of a process. */
export class WorkTally {
  transients = 0
  persisted = 0
  /** Transient events that a newer one replaced before they were written. */
  coalesced = 0
  /** Repeated writes. */
  retries = 0
  /** Steps of jobs in steps. */
  steps = 0
}
