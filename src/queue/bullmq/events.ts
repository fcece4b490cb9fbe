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
  /** Health of Redis, as this process sees it. */
  readonly store?: StoreWatch
}

/** How long closing may take before the connection is cut. */
const CLOSE_MS = 1000

/** The event streams of BullMQ's queues. Redis trims them, and reading starts at the time of `open`. */
export class BullEvents implements QueueWatch {
  readonly #options: BullEventsOptions
  #connection: Redis | undefined
  #queues: readonly QueueEvents[] = []

  constructor(options: BullEventsOptions) {
    this.#options = options
  }

  open(onEnded: (ref: QueueRef) => void): void {
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
          if (ref) onEnded(ref)
        })
      return events
    })
  }

  async close(): Promise<void> {
    const [queues, connection] = [this.#queues, this.#connection]
    this.#queues = []
    this.#connection = undefined
    // BullMQ sends QUIT when it closes, and would wait without limit if Redis is unreachable.
    const timer = setTimeout(() => connection?.disconnect(), CLOSE_MS)
    await Promise.allSettled(queues.map((events) => events.close()))
    clearTimeout(timer)
    connection?.disconnect()
  }
}

/** Null for a job that runcast did not add. */
function refOf(queue: string, jobId: string): QueueRef | null {
  const [, id, round] = /^([^~]+)~(\d+)$/.exec(jobId) ?? []
  return id === undefined ? null : { queue, id, round: Number(round) }
}
