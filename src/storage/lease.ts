/**
 * A role that one process at a time has, among all processes that share a Redis. A process that dies loses the role
 * when its lease expires. For a moment, two processes may believe that they have it.
 */
export interface Lease {
  /**
   * Acquires the lease if it is free, or renews it if this process has it. Resolves to whether this process has it now.
   * Rejects with `overloaded` if Redis cannot be reached.
   */
  acquire(): Promise<boolean>
  /** Releases the lease, so that the next process need not wait for it to expire. */
  release(): Promise<void>
}
