/**
 * Sockets per user, counted over all nodes without a race: however many ask at the same moment, no more are admitted than there are shares.
 * A share is a lease that the node renews by itself. The shares of a node that dies are free within seconds.
 */
export interface Admission {
  /**
   * Takes a share for a socket, whose id is unique on this node. False where the user has none left; the same socket again takes no second one.
   * Rejects with the refusal `overloaded` while shares cannot be counted; the socket then has none.
   */
  enter(sub: string, socketId: string): Promise<boolean>
  /** Gives a socket's share back, also one that is just being taken. Does nothing for a socket without one and never rejects: at worst the lease runs out. */
  leave(sub: string, socketId: string): Promise<void>
  /** Gives all shares of this node back, for a node that drains. Its sockets may stay; none of them counts any more. Never rejects. */
  leaveAll(): Promise<void>
  /** Renews no more. Gives nothing back by itself: `leaveAll` before it. */
  close(): void
}
