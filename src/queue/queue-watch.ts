import type { QueueRef } from '../storage/fair-scheduler.js'

/** Events of a queue, delivered at most once. They are a shortcut, never the only source of information. */
export interface QueueWatch {
  /** Starts to report each execution that completes or fails in the queue, or is removed from it. */
  open(onEnded: (ref: QueueRef) => void): void
  /** Stops the reports. The watch may be opened again. */
  close(): Promise<void>
}
