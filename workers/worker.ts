import { type Job as BullJob, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import { Redis } from 'ioredis'
import { connectBull } from '../src/jobs/bull-connection.js'
import { type BullData, type BullReturn, bullJobId, type ControlMessage } from '../src/jobs/bull-queue.js'
import { type Finalizer, finalize } from '../src/jobs/finalize.js'
import type { QueueRef } from '../src/jobs/queue.js'
import { type InputOf, KINDS, type KindName } from '../src/protocol/kinds.js'
import type { JobContext } from './job-context.js'
import type { Processor } from './processor.js'
import { runJob } from './run-job.js'

export interface WorkerOptions<K extends KindName> {
  readonly kind: K
  readonly processor: Processor<K>
  readonly parts: Finalizer
  readonly url: string
  /** BullMQ's prefix. */
  readonly prefix: string
  readonly controlChannel: string
  readonly concurrency: number
  readonly cancelGraceMs: number
  /** A worker whose lock is not renewed for so long counts as dead. */
  readonly lockDurationMs: number
  readonly onFault: (error: unknown) => void
}

/** Pause before BullMQ tries again what a broken connection has cut off. */
const RETRY_MS = 1000
/** How long a stopping worker without jobs waits for a Redis that does not answer. What it could not tell the queue, the stalled check finds. */
const CLOSE_MS = 5000

/** A worker process's hold on the queue of one kind: BullMQ and the control channel on one side, the runner on the other. */
export class KindWorker<K extends KindName> {
  readonly #options: WorkerOptions<K>
  readonly #connection: Redis
  readonly #control: Redis
  readonly #worker: Worker<BullData, BullReturn>
  readonly #running = new Map<string, JobContext>()
  readonly #processing = new Set<Promise<BullReturn>>()
  readonly #settling = new Set<Promise<void>>()
  #stopping = false

  constructor(options: WorkerOptions<K>) {
    this.#options = options
    const { kind, url, prefix, concurrency, lockDurationMs, onFault } = options
    this.#connection = connectBull(url, { maxRetries: null, onFault })
    // It subscribes itself after each connect: ioredis would do so too, but nobody could see that fail.
    this.#control = new Redis(url, { maxRetriesPerRequest: null, autoResubscribe: false })
    this.#control.on('error', onFault)
    this.#control.on('message', (_channel, message) => this.#obey(message))
    this.#control.on('ready', () => this.#control.subscribe(options.controlChannel).catch(() => {}))
    this.#worker = new Worker<BullData, BullReturn>(kind, (job, token) => this.#track(this.#process(job, token ?? '')), {
      connection: this.#connection,
      prefix,
      concurrency,
      lockDuration: lockDurationMs,
      stalledInterval: lockDurationMs / 2,
      maxStalledCount: KINDS[kind].attempts - 1,
      runRetryDelay: RETRY_MS,
      autorun: false,
    })
    this.#worker.on('error', onFault)
    this.#worker.on('completed', (job) => this.#settle(job))
    this.#worker.on('failed', (job) => job && this.#settle(job))
    this.#worker.on('lockRenewalFailed', (ids: string[]) => {
      for (const id of ids) this.#running.get(id)?.stop('lost')
    })
  }

  /** Resolves once it takes jobs and hears cancels. */
  async start(): Promise<void> {
    await this.#control.subscribe(this.#options.controlChannel)
    await this.#worker.waitUntilReady()
    this.#worker.run().catch(this.#options.onFault)
  }

  /** Takes no more jobs, hands the running ones back and ends; without Redis as well, since then the queue gives them to another worker. */
  async close(): Promise<void> {
    this.#stopping = true
    for (const context of this.#running.values()) context.stop('stopping')
    const closed = this.#worker.close()
    await Promise.allSettled(this.#processing)
    const timer = setTimeout(() => this.#connection.disconnect(), CLOSE_MS)
    await closed
    clearTimeout(timer)
    await Promise.allSettled(this.#settling)
    this.#control.disconnect()
    this.#connection.disconnect()
  }

  #track(processing: Promise<BullReturn>): Promise<BullReturn> {
    this.#processing.add(processing)
    const forget = () => this.#processing.delete(processing)
    processing.then(forget, forget)
    return processing
  }

  /** What comes out of the runner, in BullMQ's words. */
  async #process(job: BullJob<BullData, BullReturn>, token: string): Promise<BullReturn> {
    const { kind, processor, parts, cancelGraceMs } = this.#options
    const { id, round } = job.data
    const name = bullJobId(job.data)
    const attempt = {
      kind,
      id,
      round,
      token: job.data.base + job.attemptsStarted,
      input: job.data.input as InputOf<K>, // normalised at submit
      isLastAttempt: job.attemptsMade + 1 >= (job.opts.attempts ?? 1),
    }
    // Taken: the next job may come into the queue. What fails here the sweeper does.
    this.#follow(parts.queue.started(attempt))
    let own: JobContext | undefined
    const settled = await runJob(attempt, processor, { broker: parts.broker, cancelGraceMs }, (context) => {
      own = context
      this.#running.set(name, context)
      if (this.#stopping) context.stop('stopping')
    }).finally(() => {
      // After a lost lock another try of the same round may stand here already.
      if (this.#running.get(name) === own) this.#running.delete(name)
    })
    switch (settled.how) {
      case 'done':
        return { result: settled.result, compute_time_s: settled.compute_time_s }
      case 'ended':
        // Before the job fails, so that the outcome outlives this process.
        await job.updateData({ ...job.data, outcome: settled.outcome })
        throw new UnrecoverableError(settled.outcome.status === 'failed' ? settled.outcome.error : 'cancelled')
      case 'handed back':
        await job.moveToWait(token)
        throw new WaitingError()
      case 'refused':
        throw new UnrecoverableError('not to be run')
      case 'retry':
        throw settled.error
    }
  }

  /** After the queue's commit: the final event, if this was the end of the round. What fails here is left to the sweeper. */
  #settle(job: BullJob<BullData, BullReturn>): void {
    const { kind, parts } = this.#options
    const ref: QueueRef = { kind, id: job.data.id, round: job.data.round }
    this.#follow(parts.queue.state(ref).then((state) => (state.at === 'ended' ? finalize(parts, ref, state.outcome, 'worker') : undefined)))
  }

  /** What goes on beside the jobs; `close` waits for it. */
  #follow(act: Promise<void>): void {
    const work = act.catch(this.#options.onFault).finally(() => this.#settling.delete(work))
    this.#settling.add(work)
  }

  #obey(message: string): void {
    this.#running.get(readControl(message)?.cancel ?? '')?.stop('cancelled')
  }
}

/** Null for what is no control message: somebody else has written to the channel. */
function readControl(message: string): ControlMessage | null {
  try {
    return JSON.parse(message) as ControlMessage | null
  } catch {
    return null
  }
}
