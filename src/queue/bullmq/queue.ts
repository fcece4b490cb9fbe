import { type Job as BullJob, Queue as BullMq } from 'bullmq'
import type { Redis } from 'ioredis'
import type { QueueRef } from '../../storage/fair-scheduler.js'
import type { StoreWatch } from '../../storage/redis/store-health.js'
import { asked, storeFaultOf } from '../../storage/store-fault.js'
import type { Backlog, Outcome, QueueState, StepCause, Work } from '../queue.js'
import { connectBull } from './connection.js'

/**
 * Data of an execution in the queue. The runner writes `outcome` before an execution fails, because BullMQ itself keeps
 * only a text.
 */
export interface BullData {
  readonly id: string
  readonly round: number
  readonly input: unknown
  /**
   * Fencing tokens of this execution are greater. BullMQ counts starts from 1 again when an execution is added again.
   */
  readonly base: number
  readonly outcome?: Outcome
}

/** Return value of a completed job. */
export interface BullReturn {
  readonly result: unknown
  readonly compute_time_s: number
}

/** A message on the control channel, from hub to worker. */
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
  /** Health of Redis, as this process sees it. */
  readonly store?: StoreWatch
}

/** Name of the backoff strategy in BullMQ. The worker implements it. */
export const BACKOFF = 'runcast'

/**
 * Name of an execution in BullMQ. BullMQ's job ids may not consist of digits only or contain a colon, and adding an
 * existing id is silently ignored.
 */
export function bullJobId(ref: { id: string; round: number }): string {
  return `${ref.id}~${ref.round}`
}

const LOST: Outcome = { status: 'failed', code: 'worker_lost', error: 'The worker was lost too often.', log_tail: '' }

/**
 * Outcome of an execution from BullMQ's data. A failure without an outcome from the runner means that the worker was
 * lost.
 */
function outcomeOf(state: 'completed' | 'failed', job: BullJob<BullData, BullReturn>): Outcome {
  if (state === 'completed') return { status: 'completed', ...job.returnvalue }
  return job.data.outcome ?? { status: 'failed', code: 'worker_lost', error: job.failedReason || 'The worker was lost.', log_tail: '' }
}

/** Length of the event stream of a queue. The sweeper finds the events that a slow reader misses. */
const EVENTS_KEPT = 1000
/**
 * Retention of ended executions that were not finalized and removed. It is far longer than any reconciliation takes.
 * BullMQ removes them when other executions end.
 */
const KEPT = { age: 30 * 24 * 3600 }

/** If a step fails too often, the next step of the sweeper does its work. */
const STEP = { attempts: 5, backoff: { type: 'exponential', delay: 200 }, removeOnComplete: true, removeOnFail: true }

/** Maximum attempts to remove an execution. Each further attempt follows a worker that has just released it. */
const MAX_REMOVALS = 3

/**
 * BullMQ marks an execution whose workers died too often, but lets it wait; only the next worker that would take it
 * fails it.
 */
async function isGivenUp(queue: BullMq<BullData, BullReturn>, name: string): Promise<boolean> {
  return Boolean((await queue.getJob(name))?.deferredFailure)
}

/** The workers' backlog on BullMQ. */
export class BullQueue implements Backlog {
  readonly #connection: Redis
  readonly #options: BullQueueOptions
  /** Opened on first use. */
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
        // A step that has just ended has removed itself.
        if (state === 'active' || state === 'unknown') return state === 'unknown'
        // A worker held the execution and has released it since: it ended or was returned to the queue.
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
    // News always get a step of their own: a step that has begun may have read the state before them.
    await asked(this.#queue(ref.queue).add('step', data, { ...STEP, delay, ...(name !== undefined && { jobId: name }) }))
  }

  state(ref: QueueRef): Promise<QueueState> {
    return asked(this.#state(ref))
  }

  workers(queue: string): Promise<number> {
    return asked(this.#queue(queue).getWorkersCount())
  }

  async counts(queue: string): Promise<{ running: number; delayed: number }> {
    const { active = 0, delayed = 0 } = await asked(this.#queue(queue).getJobCounts('active', 'delayed'))
    return { running: active, delayed }
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
        // The hash counts attempts, and the worker decides the delay. BullMQ's own count omits lost workers and must
        // never end an execution.
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
