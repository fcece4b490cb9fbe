import { QueueEvents } from 'bullmq'
import type { Redis } from 'ioredis'
import type { QueueRef } from '../../storage/fair-scheduler.js'
import type { StoreWatch } from '../../storage/redis/store-health.js'
import type { QueueWatch } from '../queue-watch.js'
import { connectBull } from './connection.js'

export interface BullEventsOptions {
  readonly url: string
  /** BullMQ's prefix. */
  readonly prefix: string
  readonly queues: readonly string[]
  readonly onFault: (error: Error) => void
  readonly onReconnect?: () => void
  /** What this process knows of Redis. */
  readonly store?: StoreWatch
}

/** How long closing may take before the connection is cut. */
const CLOSE_MS = 1000

/** The event streams of BullMQ's queues. They are trimmed, and begin where they are opened. */
export class BullEvents implements QueueWatch {
  readonly #options: BullEventsOptions
  #connection: Redis | undefined
  #queues: readonly QueueEvents[] = []

  constructor(options: BullEventsOptions) {
    this.#options = options
  }

  open(heard: (ref: QueueRef) => void): void {
    if (this.#connection) return
    const { url, prefix, queues, onFault } = this.#options
    const connection = connectBull(url, { ...this.#options, maxRetries: null })
    this.#connection = connection
    this.#queues = queues.map((queue) => {
      const events = new QueueEvents(queue, { connection, prefix })
      events.on('error', onFault)
      for (const name of ['completed', 'failed', 'removed'] as const)
        events.on(name, ({ jobId }: { jobId: string }) => {
          const ref = refOf(queue, jobId)
          if (ref) heard(ref)
        })
      return events
    })
  }

  async close(): Promise<void> {
    const [queues, connection] = [this.#queues, this.#connection]
    this.#queues = []
    this.#connection = undefined
    // BullMQ takes its leave of a Redis that may be away, and would wait for it without limit.
    const timer = setTimeout(() => connection?.disconnect(), CLOSE_MS)
    await Promise.allSettled(queues.map((events) => events.close()))
    clearTimeout(timer)
    connection?.disconnect()
  }
}

/** Null for a job that is not one of runcast's. */
function refOf(queue: string, jobId: string): QueueRef | null {
  const [, id, round] = /^([^~]+)~(\d+)$/.exec(jobId) ?? []
  return id === undefined ? null : { queue, id, round: Number(round) }
}
