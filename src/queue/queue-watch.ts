import type { QueueRef } from '../storage/fair-scheduler.js'

/** News of a queue, at most once each: a shortcut, never the only way to learn of anything. */
export interface QueueWatch {
  /** From now on tells of each round that ends in the queue or is taken out of it. */
  open(heard: (ref: QueueRef) => void): void
  /** Tells nothing any more; may be opened again. */
  close(): Promise<void>
}
