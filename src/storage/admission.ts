/**
 * Limits the sockets per user over all nodes. The count is free of races: concurrent requests never get more shares
 * than exist. A share is a lease, which the node renews by itself. The shares of a node that dies become free within
 * seconds.
 */
export interface Admission {
  /**
   * Takes a share for a socket. `socketId` is unique on this node. Resolves to false if the user has no share left. The
   * same socket never takes a second share. Rejects with `overloaded` while shares cannot be counted; the socket then
   * has none.
   */
  enter(sub: string, socketId: string): Promise<boolean>
  /**
   * Returns the share of a socket, also one that `enter` is still taking. Does nothing for a socket without a share.
   * Never rejects: at worst the lease expires.
   */
  leave(sub: string, socketId: string): Promise<void>
  /**
   * Returns all shares of this node, for a node that drains. Its sockets may stay open, but none of them counts any
   * more. Never rejects.
   */
  leaveAll(): Promise<void>
  /** Stops the renewal. Returns no shares: call `leaveAll` first. */
  close(): void
}
