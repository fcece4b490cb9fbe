import type { CloseName } from '../protocol/codes.js'
import type { Frame } from './frame.js'

/** A client's connection of any type. The hub writes through it and never touches a socket. */
export interface Transport {
  /**
   * Sends frames in order, in one write. Frames are shared with other transports and must not be changed. Does nothing
   * once closed.
   */
  send(frames: readonly Frame[]): void
  /** Ends the connection after what was sent. Safe to call twice. */
  close(code: CloseName, detail?: string): void
  /** Ends the connection at once, without a close message, for a peer that reads nothing any more. */
  terminate(): void
  /** Pings the peer below the message layer. The answer arrives as `session.touch`. */
  ping(): void
  /** Whether the peer reads more slowly than the hub writes. `onDrain` is called when that is over. */
  readonly congested: boolean
  /** Bytes that were sent and are still in this process. */
  readonly bufferedBytes: number
  onDrain: () => void
}
