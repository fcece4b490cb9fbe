import { basename } from 'node:path'
import type { Readable } from 'node:stream'
import { retryOf } from '../../protocol/failure.js'
import { type Job, JobFailure, type Results } from '../processor.js'
import type { GuardedProgram } from './guarded-program.js'
import type { Line } from './line-splitter.js'
import { faultOfLongLine, type LinePart, type ProgramEvent, readLine } from './program-event.js'
import { MAX_LINE_BYTES, readLines } from './read-lines.js'

/** How long a program may take to exit after it has written its result or failure. */
const EXIT_MS = 5000

/**
 * Turns a program's output into reports and log lines of its job. A program that writes faster than Redis accepts
 * blocks in its own writes.
 */
export class ProgramOutput {
  readonly #program: GuardedProgram
  readonly #job: Job<'run'>
  #result: Results['run'] | undefined
  #fault: JobFailure | undefined
  /** Number of lines of stdout so far. */
  #lines = 0

  constructor(program: GuardedProgram, job: Job<'run'>) {
    this.#program = program
    this.#job = job
  }

  /** The result that the program has written. */
  get result(): Results['run'] | undefined {
    return this.#result
  }

  /** The failure that the program has reported, or its first invalid event. */
  get fault(): JobFailure | undefined {
    return this.#fault
  }

  /** Resolves when the whole output has been processed. */
  async read(): Promise<void> {
    const { stdout, stderr, ended } = this.#program
    await Promise.all([
      readLines(stdout, ended, (line) => this.#take(line)),
      readLines(stderr, ended, async ({ text }) => {
        this.#job.alive()
        this.#job.log(text)
      }),
    ])
  }

  /** Drops all further output. */
  close(): void {
    const streams: Readable[] = [this.#program.stdout, this.#program.stderr]
    for (const stream of streams) stream.destroy()
  }

  /** Resolves when there is room for another line. */
  async #take(line: Line): Promise<void> {
    this.#lines += 1
    this.#job.alive()
    try {
      for (const said of this.#read(line)) {
        if ('log' in said) this.#job.log(said.log)
        else await this.#report(said.event)
      }
    } catch (error) {
      if (!(error instanceof JobFailure)) throw error
      this.#fault = error
      this.#job.log(line.text)
      this.#program.end()
    }
  }

  /** After its result, its failure or an invalid event, all further output is log text. */
  *#read({ text, isWhole }: Line): Generator<LinePart, void> {
    if (this.#result || this.#fault) return yield { log: text }
    if (isWhole) return yield* readLine(text, this.#lines)
    const fault = faultOfLongLine(text, this.#lines, MAX_LINE_BYTES)
    if (fault) throw fault
    yield { log: text }
  }

  /** Waits until it is stored, and reads no further: the program must leave the file as it is until then. */
  async #store({ path, url, name, media_type }: ProgramEvent & { type: 'artifact' }): Promise<void> {
    const optional = media_type === undefined ? {} : { mediaType: media_type }
    if (path !== undefined && url === undefined) return this.#job.artifact(name ?? basename(path), { path, ...optional })
    if (path === undefined && url !== undefined && name !== undefined) return this.#job.artifact(name, { url, ...optional })
    throw new JobFailure('solver_error', `Line ${this.#lines} of stdout is an artifact that is not valid: expected path, or url and name`)
  }

  async #report(event: ProgramEvent): Promise<void> {
    switch (event.type) {
      case 'progress': {
        const { percent, phase, message } = event
        // For display: the report corrects values of other types.
        return this.#job.progress({ percent: percent as number, phase: phase as string, message: message as string })
      }
      case 'metric_update':
        return this.#job.metric(event.metric_name, event.value, event)
      case 'artifact':
        return this.#store(event)
      case 'failed':
        this.#fault = new JobFailure(event.code ?? 'solver_error', event.error, { retry: retryOf(event) })
        return this.#program.end(EXIT_MS)
      case 'completed':
        this.#result = { metrics_summary: event.metrics_summary }
        return this.#program.end(EXIT_MS)
    }
  }
}
