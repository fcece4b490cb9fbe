import { secondsBetween } from '../core/elapsed.js'
import type { JobEvent, Writer } from '../core/entry.js'
import { logTailOf } from '../jobs/attempt.js'
import { isOverloaded } from '../protocol/codes.js'
import type { Heartbeats, Publisher, Refused, WriteRefusal, Written } from '../storage/broker.js'
import { rejected } from './deferred.js'
import { Heartbeat } from './heartbeat.js'
import { Stop, type StopCause } from './processor.js'
import { ReportQueue } from './report-queue.js'
import { asError, lineOf } from './thrown.js'
import { WorkTally } from './work-tally.js'

/** Events that may wait: of a processor that does not await its report calls. One more, and the attempt fails. */
const MAX_WAITING = 10_000
const RETRY_MS = 200
const UNREACHABLE_MS = 60_000
/** How long writes may fail where the job is stopped anyway. */
const STOPPING_MS = 5000
/** Refusals that are about what is written; any other but `transition` means that the job has another writer, or is over. */
const OF_THE_EVENTS: ReadonlySet<WriteRefusal> = new Set(['too_big', 'too_many_keys'])

export interface JobContextOptions {
  readonly id: string
  readonly publisher: Publisher & Heartbeats
  readonly writer: Writer
  readonly onFenced?: (reason: WriteRefusal) => void
  /** Writes that fail for so long end the attempt; the queue starts another one when it can. */
  readonly unreachableMs?: number | undefined
  /** Where reports are counted. */
  readonly tally?: WorkTally
}

/**
 * hop 2: from processor, to publisher. Takes reports at once and sends them in the background, one write at a time; a write that failed is sent again with its
 * number. What is written is always all that was reported up to some point. Where a report after that point is dropped, `givenUp` says why, and the attempt must not
 * end as if nothing were missing.
 */
export class JobContext {
  readonly id: string
  readonly #publisher: Publisher & Heartbeats
  readonly #tally: WorkTally
  readonly #onFenced: (reason: WriteRefusal) => void
  readonly #unreachableMs: number
  readonly #stop = new AbortController()
  readonly #kill = new AbortController()
  readonly #heartbeat = new Heartbeat()
  /** Spans are measured by a clock that is never set. */
  readonly #startedAt = performance.now()
  #logTail: readonly string[] = []
  readonly #waiting = new ReportQueue()
  #writer: Writer
  #pump: Promise<void> | undefined
  #transientTimer: NodeJS.Timeout | undefined
  #closed = false
  /** When writes began to fail; null while they do not. */
  #failingSince: number | null = null
  #givenUp: Stop | undefined
  #isSilenced = false
  #isFenced = false
  #hasWritten = false

  /** `onFenced` is told once, when the job is found to have another writer or to be over. */
  constructor(options: JobContextOptions) {
    this.id = options.id
    this.#publisher = options.publisher
    this.#writer = options.writer
    this.#tally = options.tally ?? new WorkTally()
    this.#onFenced = options.onFenced ?? (() => {})
    this.#unreachableMs = options.unreachableMs ?? UNREACHABLE_MS
  }

  get signal(): AbortSignal {
    return this.#stop.signal
  }

  /** Aborted when the processor did not obey in time. */
  get killed(): AbortSignal {
    return this.#kill.signal
  }

  /** Reports that wait to be written. */
  get buffered(): number {
    return this.#waiting.size
  }

  /** Why reports of the processor were dropped; undefined while none was. */
  get givenUp(): Stop | undefined {
    return this.#givenUp
  }

  get elapsedSeconds(): number {
    return secondsBetween(this.#startedAt, performance.now())
  }

  get logTail(): string {
    return this.#logTail.join('\n')
  }

  log(line: unknown): void {
    this.#logTail = logTailOf([...this.#logTail, lineOf(line)])
  }

  stop(cause: StopCause): void {
    this.#abort(new Stop(cause))
  }

  kill(): void {
    this.#kill.abort(this.signal.reason)
  }

  /** A sign of life of a processor that computes elsewhere. */
  alive(): void {
    this.#heartbeat.sign()
  }

  /** From now on a job that is silent is looked after: it tells that it lives, and learns of a cancel that was not heard, or that it is another's. */
  startHeartbeat(): void {
    this.#heartbeat.start((alive) => {
      const isQuiet = !this.#hasWritten && !this.#pump
      this.#hasWritten = false
      if (isQuiet) void this.#heartbeatOnce(alive)
    })
  }

  /** Waits for durable reports; a tick that is not due yet goes its own way. */
  async flush(): Promise<void> {
    while (this.#pump) await this.#pump
  }

  /** The processor has ended: what it may still say is not taken any more. Resolves when its reports have been written. */
  close(): Promise<void> {
    this.#closed = true
    this.#heartbeat.stop()
    return this.#flushAll()
  }

  /** Writes events of the runner itself, after all reports. Answers why it was refused, or null. */
  async write(events: readonly JobEvent[]): Promise<WriteRefusal | 'unreachable' | null> {
    await this.#flushAll()
    const answer = await this.#publish(events)
    return answer === 'unreachable' ? answer : this.#applyAnswer(answer)
  }

  async #flushAll(): Promise<void> {
    this.#waiting.hurry()
    while (this.#pump || this.#waiting.size > 0) await this.#startPump()
  }

  /**
   * Takes an event of the processor, also of one that is to stop, since its result may still stand. Never throws. Resolves when there is room for another
   * report, or the job is stopped meanwhile. Rejects where the event cannot be made, or reports are given up; a rejection that nobody awaits is silent.
   */
  report(make: () => JobEvent): Promise<void> {
    if (this.#closed) return Promise.resolve()
    if (this.#givenUp) return rejected(this.#givenUp)
    try {
      this.#take(make())
    } catch (error) {
      const why = error instanceof Stop ? error : new Stop('refused', { cause: asError(error) })
      this.#giveUp(why)
      return rejected(asError(error))
    }
    this.#startPump()
    return this.#waiting.room()
  }

  /** Throws where no more may wait. */
  #take(event: JobEvent): void {
    if (event.class !== 'transient' && this.#waiting.size >= MAX_WAITING) {
      if (this.#failingSince !== null) throw new Stop('unreachable')
      throw new Error(`more than ${MAX_WAITING} reports wait to be written: await the report calls`)
    }
    if (event.class === 'transient') this.#tally.transients += 1
    else this.#tally.persisted += 1
    if (this.#waiting.add(event)) this.#tally.coalesced += 1
  }

  #startPump(): Promise<void> {
    clearTimeout(this.#transientTimer)
    this.#pump ??= this.#drain().finally(() => {
      this.#pump = undefined
      // Only ticks that are not due can be left.
      if (this.#waiting.size > 0) this.#transientTimer = setTimeout(() => void this.#startPump(), Math.max(this.#waiting.dueInMs, 1))
    })
    return this.#pump
  }

  async #drain(): Promise<void> {
    for (;;) {
      // A microtask later, so that what is reported together leaves together.
      await Promise.resolve()
      const batch = this.#waiting.takeBatch()
      if (batch.length === 0) return
      await this.#send(batch)
      this.#waiting.written()
    }
  }

  /** Writes reports. Of a batch that is refused for one of them those before that one are kept. Answers whether all were written. */
  async #send(events: readonly JobEvent[]): Promise<boolean> {
    if (this.#isSilenced) return false
    try {
      const answer = await this.#publish(events)
      if (answer === 'unreachable') return false
      if (answer.ok || !OF_THE_EVENTS.has(answer.reason)) return this.#applyAnswer(answer) === null
      if (events.length === 1) this.#silence(new Stop('refused', { cause: new Error(answer.text ?? answer.reason) }))
      else for (const event of events) if (!(await this.#send([event]))) break
    } catch (error) {
      // No fault of Redis, so it would fail again.
      this.#silence(new Stop('refused', { cause: asError(error) }))
    }
    return false
  }

  /** No report is taken any more; those that wait are written. */
  #giveUp(why: Stop): void {
    this.#givenUp ??= why
    this.#abort(why)
  }

  /** Nor is any that waits written: what is left out is left out to its end, never in the middle. */
  #silence(why: Stop): void {
    this.#isSilenced = true
    this.#giveUp(why)
    this.#waiting.clear(why)
  }

  #abort(why: Stop): void {
    if (this.signal.aborted) return
    // Before those who wait for room go on, so that they see it.
    this.#stop.abort(why)
    if (!this.#givenUp) this.#waiting.release()
  }

  /** Rejects with what is no fault of Redis. */
  async #publish(events: readonly JobEvent[]): Promise<Written | Refused | 'unreachable'> {
    if (this.#isUnreachable) return 'unreachable'
    this.#writer = { ...this.#writer, n: this.#writer.n + 1 }
    for (;;) {
      try {
        const answer = await this.#publisher.publish(this.id, events, this.#writer)
        this.#failingSince = null
        this.#hasWritten = true
        return answer
      } catch (error) {
        if (!isOverloaded(error)) throw error
        // Redis cannot be reached, or refuses. The number is the same, so the write is done once however often it arrives.
        this.#failingSince ??= performance.now()
        const patience = this.signal.aborted ? Math.min(STOPPING_MS, this.#unreachableMs) : this.#unreachableMs
        if (performance.now() - this.#failingSince > patience) {
          this.#silence(new Stop('unreachable'))
          return 'unreachable'
        }
        this.#tally.retries += 1
        await pause(RETRY_MS)
      }
    }
  }

  get #isUnreachable(): boolean {
    return this.#isSilenced && this.#givenUp?.why === 'unreachable'
  }

  /** One that does not come through is made up for by the next. */
  async #heartbeatOnce(alive: boolean): Promise<void> {
    try {
      this.#applyAnswer(await this.#publisher.heartbeat(this.id, this.#writer, alive))
    } catch (error) {
      if (!isOverloaded(error)) this.#giveUp(new Stop('refused', { cause: asError(error) }))
    }
  }

  /** What an answer says about the job. Answers why it was refused, or null. */
  #applyAnswer(answer: Written | Refused): WriteRefusal | null {
    if (answer.status === 'cancelling') this.stop('cancelled')
    if (answer.ok) return null
    if (!OF_THE_EVENTS.has(answer.reason) && answer.reason !== 'transition') this.#fence(answer.reason)
    return answer.reason
  }

  #fence(reason: WriteRefusal): void {
    this.#silence(new Stop('lost'))
    this.#heartbeat.stop()
    if (!this.#isFenced) this.#onFenced(reason)
    this.#isFenced = true
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
