import type { Readable } from 'node:stream'
import type { ResultOf } from '../../src/protocol/kinds.js'
import { type Job, JobFailure } from '../processor.js'
import type { GuardedProgram } from './guarded-program.js'
import type { Line } from './line-splitter.js'
import { type ProgramEvent, programEvent } from './program-event.js'
import { readLines } from './read-lines.js'

/** How long a program may take to end by itself once it has told its result. */
const EXIT_MS = 5000
/** As many events leave in one write. */
const EVENTS_PER_FLUSH = 64

/** What a program says, made into reports and log lines of its job. A program that says more than Redis takes waits in its own writes. */
export class ProgramOutput {
  readonly #program: GuardedProgram
  readonly #job: Job<'run'>
  #result: ResultOf<'run'> | undefined
  #fault: JobFailure | undefined
  #events = 0

  constructor(program: GuardedProgram, job: Job<'run'>) {
    this.#program = program
    this.#job = job
  }

  /** What the program told as its result. */
  get result(): ResultOf<'run'> | undefined {
    return this.#result
  }

  /** The first event that was not valid. */
  get fault(): JobFailure | undefined {
    return this.#fault
  }

  /** Resolves when all has been taken. */
  async read(): Promise<void> {
    const { stdout, stderr, ended } = this.#program
    await Promise.all([
      readLines(stdout, ended, (line) => this.#take(line)),
      readLines(stderr, ended, ({ text }) => {
        this.#log(text)
        return undefined
      }),
    ])
  }

  /** Nothing that comes from now on is taken. */
  close(): void {
    const streams: Readable[] = [this.#program.stdout, this.#program.stderr]
    for (const stream of streams) stream.destroy()
  }

  #take({ text, isWhole }: Line): Promise<void> | undefined {
    const event = isWhole ? this.#eventOf(text) : null
    if (!event) {
      this.#log(text)
      return undefined
    }
    this.#job.alive()
    this.#report(event)
    this.#events += 1
    return this.#events % EVENTS_PER_FLUSH === 0 ? this.#job.flush() : undefined
  }

  #log(line: string): void {
    this.#job.alive()
    this.#job.log(line)
  }

  /** After its result, or an event that was not valid, a program has no more events to tell. */
  #eventOf(line: string): ProgramEvent | null {
    if (this.#result || this.#fault) return null
    try {
      return programEvent(line)
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      this.#fault = error
      this.#program.end()
      return null
    }
  }

  #report(event: ProgramEvent): void {
    switch (event.type) {
      case 'progress':
        return this.#job.progress({ percent: event.percent, phase: event.phase, message: event.message })
      case 'metric_update':
        return this.#job.metric(event.metric_name, event.value, event.unit)
      case 'completed':
        this.#result = { metrics_summary: event.metrics_summary }
        return this.#program.end(EXIT_MS)
    }
  }
}
