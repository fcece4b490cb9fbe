import type { Publisher, Pulse, Refused, WriteRefusal, Written } from '../src/broker/broker.js'
import { logTailOf } from '../src/jobs/attempt.js'
import type { JobEvent, Writer } from '../src/protocol/entry.js'
import { Heartbeat } from './heartbeat.js'
import { Stop, type StopCause } from './processor.js'
import { WorkTally } from './work-tally.js'

const TICK_INTERVAL_MS = 100
const BATCH = 64
/** Durable events that may wait: for a Redis that cannot be reached, or of a processor that does not wait for `flush`. More, and the attempt is given up. */
const MAX_WAITING = 10_000
const RETRY_MS = 200
/** Writes that fail for so long end the attempt; the queue starts another one when it can. */
const UNREACHABLE_MS = 60_000
/** And for so long, where the job is stopped anyway. */
const STOPPING_MS = 5000
/** Refusals that are about what is written; any other but `transition` means that the job has another writer, or is over. */
const REFUSED: ReadonlySet<WriteRefusal> = new Set(['too_big', 'too_many_keys'])

export interface JobContextOptions {
  readonly id: string
  readonly publisher: Publisher & Pulse
  readonly writer: Writer
  readonly onFenced?: (reason: WriteRefusal) => void
  /** Where reports are counted. */
  readonly tally?: WorkTally
}

/**
 * hop 2: from processor, to publisher. Takes reports at once and sends them in the background, one write at a time:
 * ticks coalesced per key (the last wins, at most 10 a second), durable events all and in order. A write that failed is sent again with its number.
 */
export class JobContext {
  readonly id: string
  readonly #publisher: Publisher & Pulse
  readonly #tally: WorkTally
  readonly #onFenced: (reason: WriteRefusal) => void
  readonly #stop = new AbortController()
  readonly #kill = new AbortController()
  readonly #heartbeat = new Heartbeat()
  readonly #startedAt = Date.now()
  #logTail: readonly string[] = []
  /** In the order of sending; a tick has its key, a durable event a number. */
  readonly #waiting = new Map<string | number, JobEvent>()
  #writer: Writer
  #counter = 0
  #pump: Promise<void> | undefined
  #tickTimer: NodeJS.Timeout | undefined
  #lastTickAt = 0
  #closed = false
  /** When writes began to fail; null while they do not. */
  #failingSince: number | null = null
  #isGivenUp = false
  #isFenced = false
  #hasWritten = false

  /** `onFenced` is told once, when the job is found to have another writer or to be over. */
  constructor(options: JobContextOptions) {
    this.id = options.id
    this.#publisher = options.publisher
    this.#writer = options.writer
    this.#tally = options.tally ?? new WorkTally()
    this.#onFenced = options.onFenced ?? (() => {})
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

  get elapsedSeconds(): number {
    return Math.round((Date.now() - this.#startedAt) / 10) / 100
  }

  get logTail(): string {
    return this.#logTail.join('\n')
  }

  log(line: string): void {
    this.#logTail = logTailOf([...this.#logTail, line])
  }

  stop(cause: StopCause): void {
    if (!this.signal.aborted) this.#stop.abort(new Stop(cause))
  }

  kill(): void {
    this.#kill.abort(this.signal.reason)
  }

  /** A sign of life of a processor that computes elsewhere. */
  alive(): void {
    this.#heartbeat.sign()
  }

  /** From now on a job that is silent is looked after: it tells that it lives, and learns of a cancel that was not heard, or that it is another's. */
  startBeating(): void {
    this.#heartbeat.start((alive) => {
      const isQuiet = !this.#hasWritten && !this.#pump
      this.#hasWritten = false
      if (isQuiet) void this.#beat(alive)
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
    return this.#publish(events)
  }

  async #flushAll(): Promise<void> {
    this.#lastTickAt = 0
    while (this.#pump || this.#waiting.size > 0) await this.#startPump()
  }

  /** Takes an event of the processor. */
  report(event: JobEvent): void {
    // What a stopped processor still says has no reader any more.
    if (this.signal.aborted || this.#closed || this.#isGivenUp) return
    if (event.class === 'tick') {
      this.#tally.ticks += 1
      if (this.#waiting.delete(event.key)) this.#tally.coalesced += 1
      this.#waiting.set(event.key, event)
    } else {
      this.#tally.durables += 1
      this.#waiting.set(this.#counter++, event)
      if (this.#waiting.size > MAX_WAITING) this.stop(this.#failingSince === null ? 'refused' : 'unreachable')
    }
    this.#startPump()
  }

  #startPump(): Promise<void> {
    clearTimeout(this.#tickTimer)
    this.#pump ??= this.#drain().finally(() => {
      this.#pump = undefined
      // Only ticks that are not due can be left.
      const wait = this.#lastTickAt + TICK_INTERVAL_MS - Date.now()
      if (this.#waiting.size > 0) this.#tickTimer = setTimeout(() => void this.#startPump(), Math.max(wait, 1))
    })
    return this.#pump
  }

  async #drain(): Promise<void> {
    for (;;) {
      // A microtask later, so that what is reported together leaves together.
      await Promise.resolve()
      const batch = this.#takeBatch()
      if (batch.length === 0) return
      await this.#publish(batch)
    }
  }

  /** What could not be written is left out to its end, never in the middle. */
  #giveUp(): 'unreachable' {
    this.#isGivenUp = true
    this.#waiting.clear()
    this.stop('unreachable')
    return 'unreachable'
  }

  /** The next events in order. A tick that came too soon after the last one stays until it is due, unless it is superseded. */
  #takeBatch(): JobEvent[] {
    const tickIsDue = Date.now() - this.#lastTickAt >= TICK_INTERVAL_MS
    const batch: JobEvent[] = []
    for (const [key, event] of this.#waiting) {
      if (batch.length === BATCH) break
      if (event.class === 'tick' && !tickIsDue) continue
      if (event.class === 'tick') this.#lastTickAt = Date.now()
      batch.push(event)
      this.#waiting.delete(key)
    }
    return batch
  }

  async #publish(events: readonly JobEvent[]): Promise<WriteRefusal | 'unreachable' | null> {
    if (this.#isGivenUp) return 'unreachable'
    this.#writer = { ...this.#writer, n: this.#writer.n + 1 }
    for (;;) {
      try {
        const answer = await this.#publisher.publish(this.id, events, this.#writer)
        this.#failingSince = null
        this.#hasWritten = true
        return this.#heed(answer)
      } catch {
        // Redis cannot be reached or did not answer. The number is the same, so the write is done once however often it arrives.
        this.#failingSince ??= Date.now()
        const patience = this.signal.aborted ? STOPPING_MS : UNREACHABLE_MS
        if (Date.now() - this.#failingSince > patience) return this.#giveUp()
        this.#tally.retries += 1
        await pause(RETRY_MS)
      }
    }
  }

  /** One that does not come through is made up for by the next. */
  async #beat(alive: boolean): Promise<void> {
    const answer = await this.#publisher.beat(this.id, this.#writer, alive).catch(() => null)
    if (answer) this.#heed(answer)
  }

  /** What an answer says about the job. Answers why it was refused, or null. */
  #heed(answer: Written | Refused): WriteRefusal | null {
    if (answer.status === 'cancelling') this.stop('cancelled')
    if (answer.ok) return null
    if (REFUSED.has(answer.reason)) this.stop('refused')
    else if (answer.reason !== 'transition') this.#fence(answer.reason)
    return answer.reason
  }

  #fence(reason: WriteRefusal): void {
    this.stop('lost')
    this.#heartbeat.stop()
    if (!this.#isFenced) this.#onFenced(reason)
    this.#isFenced = true
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
