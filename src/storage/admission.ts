/**
 * Limits the sockets per user over all nodes. The count is free of races: concurrent requests never get more slots
 * than exist. A slot is a lease, which the node renews by itself. The slots of a node that dies become free within
 * seconds.
 */
export interface Admission {
  /**
   * Reserves a slot for a socket. `socketId` is unique on this node. Resolves to false if the user has no slot left.
   * The same socket never occupies a second slot. Rejects with `overloaded` while slots cannot be counted; the socket
   * then has none.
   */
  enter(sub: string, socketId: string): Promise<boolean>
  /**
   * Returns the slot of a socket, also one that `enter` is still reserving. Does nothing for a socket without a slot.
   * Never rejects: at worst the lease expires.
   */
  leave(sub: string, socketId: string): Promise<void>
  /**
   * Returns all slots of this node, for a node that drains. Its sockets may stay open, but none of them counts any
   * more. Never rejects.
   */
  leaveAll(): Promise<void>
  /** Stops the renewal. Returns no slots: call `leaveAll` first. */
  close(): void
}
