import { type Job as BullJob, Queue as BullMq } from 'bullmq'
import type { Redis } from 'ioredis'
import type { QueueRef } from '../../storage/fair-scheduler.js'
import type { StoreWatch } from '../../storage/redis/store-health.js'
import { asked, storeFaultOf } from '../../storage/store-fault.js'
import type { Backlog, Outcome, QueueState, StepCause, Work } from '../queue.js'
import { connectBull } from './connection.js'

/** What lies in the queue: `outcome` is written by the runner before a round fails, since BullMQ itself keeps only a text. */
export interface BullData {
  readonly id: string
  readonly round: number
  readonly input: unknown
  /** Fencing tokens begin above it: BullMQ counts a round's starts from 1 again when it is added again. */
  readonly base: number
  readonly outcome?: Outcome
}

/** What a completed job returns to the queue. */
export interface BullReturn {
  readonly result: unknown
  readonly compute_time_s: number
}

/** A message on the control channel, hub to worker. */
export interface ControlMessage {
  readonly cancel: string
}

export interface BullQueueOptions {
  readonly url: string
  /** BullMQ's prefix, hash-tagged for clusters. */
  readonly prefix: string
  readonly controlChannel: string
  readonly onFault: (error: Error) => void
  readonly onReconnect?: () => void
  /** What this process knows of Redis. */
  readonly store?: StoreWatch
}

/** The way to wait before the next attempt, as BullMQ knows it: the worker has it. */
export const BACKOFF = 'runcast'

/** Name of a round in BullMQ: ids there may not be digits alone or hold a colon, and one that exists is silently kept. */
export function bullJobId(ref: { id: string; round: number }): string {
  return `${ref.id}~${ref.round}`
}

const LOST: Outcome = { status: 'failed', code: 'worker_lost', error: 'The worker was lost too often.', log_tail: '' }

/** How a round ended by what BullMQ keeps of it. A failure without a word of the runner means that the worker was lost. */
function outcomeOf(state: 'completed' | 'failed', job: BullJob<BullData, BullReturn>): Outcome {
  if (state === 'completed') return { status: 'completed', ...job.returnvalue }
  return job.data.outcome ?? { status: 'failed', code: 'worker_lost', error: job.failedReason || 'The worker was lost.', log_tail: '' }
}

/** News of a queue that a reader may be behind; what it misses, the sweeper finds. */
const EVENTS_KEPT = 1000
/** Ended rounds that nobody has told and removed: far longer than anybody looks after them. BullMQ removes them when others end. */
const KEPT = { age: 30 * 24 * 3600 }

/** What a step that failed too often would have done the sweeper's next one does. */
const STEP = { attempts: 5, backoff: { type: 'exponential', delay: 200 }, removeOnComplete: true, removeOnFail: true }

/** Tries at taking a round away, of which each but the first has seen a worker let go of it. */
const MAX_REMOVALS = 3

/** BullMQ gives a round up whose workers died too often, but lets it wait until some worker would pick it up, to say so then. */
async function isGivenUp(queue: BullMq<BullData, BullReturn>, name: string): Promise<boolean> {
  return Boolean((await queue.getJob(name))?.deferredFailure)
}

/** The workers' backlog on BullMQ. */
export class BullQueue implements Backlog {
  readonly #connection: Redis
  readonly #options: BullQueueOptions
  /** Opened when they are first asked for. */
  readonly #queues = new Map<string, BullMq<BullData, BullReturn>>()

  constructor(options: BullQueueOptions) {
    this.#options = options
    this.#connection = connectBull(options.url, { ...options, maxRetries: 2 })
  }

  async add({ queue, ...data }: Work): Promise<void> {
    await asked(this.#queue(queue).add(queue, data, { jobId: bullJobId(data) }))
  }

  async remove(ref: QueueRef): Promise<boolean> {
    const job = await asked(this.#queue(ref.queue).getJob(bullJobId(ref)))
    if (!job) return true
    for (let tries = 1; ; tries += 1) {
      try {
        await asked(job.remove())
        return true
      } catch (error) {
        if (storeFaultOf(error) !== null) throw error
        const state = await asked(job.getState())
        // A step that has just ended is gone by itself.
        if (state === 'active' || state === 'unknown') return state === 'unknown'
        // A worker held it, and has let it go since: it ended, or went back.
        if (tries === MAX_REMOVALS) throw error
      }
    }
  }

  async cancelOnOwner(ref: QueueRef): Promise<void> {
    const message: ControlMessage = { cancel: bullJobId(ref) }
    await asked(this.#connection.publish(this.#options.controlChannel, JSON.stringify(message)))
  }

  async step(ref: QueueRef, why: StepCause, delay = 0): Promise<void> {
    const data = { id: ref.id, round: ref.round, input: null, base: 0 }
    const name = { first: bullJobId(ref), look: `${bullJobId(ref)}~look`, later: `${bullJobId(ref)}~later`, news: undefined }[why]
    // News never wait for a step that has begun: it may have looked before them.
    await asked(this.#queue(ref.queue).add('step', data, { ...STEP, delay, ...(name !== undefined && { jobId: name }) }))
  }

  state(ref: QueueRef): Promise<QueueState> {
    return asked(this.#state(ref))
  }

  workers(queue: string): Promise<number> {
    return asked(this.#queue(queue).getWorkersCount())
  }

  async close(): Promise<void> {
    await Promise.allSettled([...this.#queues.values()].map((queue) => queue.close()))
    this.#connection.disconnect()
  }

  async #state(ref: QueueRef): Promise<QueueState> {
    const queue = this.#queue(ref.queue)
    const name = bullJobId(ref)
    const state = await queue.getJobState(name)
    if (state === 'unknown') return { at: 'missing' }
    if (state === 'active') return { at: 'active', isLocked: (await this.#connection.exists(`${queue.toKey(name)}:lock`)) === 1 }
    if (state !== 'completed' && state !== 'failed')
      return (await isGivenUp(queue, name)) ? { at: 'ended', outcome: LOST } : { at: 'waiting' }
    // Read after the state: an ended job does not change any more.
    const job = await queue.getJob(name)
    return job ? { at: 'ended', outcome: outcomeOf(state, job) } : { at: 'missing' }
  }

  #queue(name: string): BullMq<BullData, BullReturn> {
    const known = this.#queues.get(name)
    if (known) return known
    const queue = new BullMq<BullData, BullReturn>(name, {
      connection: this.#connection,
      prefix: this.#options.prefix,
      streams: { events: { maxLen: EVENTS_KEPT } },
      defaultJobOptions: {
        // The hash counts the attempts, and the worker knows how long to wait: BullMQ's own count leaves out lost workers and must never end a round.
        attempts: Number.MAX_SAFE_INTEGER,
        backoff: { type: BACKOFF },
        removeOnComplete: KEPT,
        removeOnFail: KEPT,
      },
    })
    queue.on('error', this.#options.onFault)
    this.#queues.set(name, queue)
    return queue
  }
}
