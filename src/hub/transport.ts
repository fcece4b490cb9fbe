import type { CloseName } from '../protocol/codes.js'
import type { Frame } from './frame.js'

/** A client's connection, whatever it is made of. The hub writes through it and never touches a socket. */
export interface Transport {
  /** Sends frames in order, in one write. Frames are shared with other transports and must not be changed. Does nothing once closed. */
  send(frames: readonly Frame[]): void
  /** Ends the connection in order, after what was sent. Safe to call twice. */
  close(code: CloseName, detail?: string): void
  /** Ends the connection at once, without a word: for a peer that reads nothing any more. */
  terminate(): void
  /** Asks the peer for a sign of life, below the messages; the answer comes as `session.heard`. */
  ping(): void
  /** Whether the peer reads more slowly than it is written to; then `onDrain` is called when that is over. */
  readonly congested: boolean
  /** Bytes that were sent and are still in this process. */
  readonly bufferedBytes: number
  onDrain: () => void
}
