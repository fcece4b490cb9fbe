import { type ResourceLimits, Worker } from 'node:worker_threads'
import type { Loggable } from '../../core/log-line.js'
import type { StopCause } from '../processor.js'
import { asError } from '../thrown.js'
import { errorOf, faultOf } from './fault.js'
import { type Answer, type CallName, type FromThread, type ThreadData, type ToThread, weightOf } from './messages.js'

/** A job of any kind, as a thread needs it. */
export interface ThreadJob {
  readonly id: string
  readonly traceparent: string | undefined
  readonly signal: AbortSignal
  readonly reports: Readonly<Record<string, (...args: readonly unknown[]) => Promise<void>>>
  readonly calls: Readonly<Record<CallName, (...args: readonly unknown[]) => Promise<unknown>>>
  flush(): Promise<void>
  log(line: Loggable): void
  alive(): void
}

interface Running {
  readonly job: ThreadJob
  resolve(result: unknown): void
  reject(error: Error): void
}

/** A thread that computes one job at a time (`serveJobs`), as seen by its creator. */
export class ProcessorThread {
  readonly #worker: Worker
  readonly #received = new Int32Array(new SharedArrayBuffer(4))
  #running: Running | undefined
  #isFit = true

  constructor(module: URL, resourceLimits: ResourceLimits) {
    const workerData: ThreadData = { received: this.#received.buffer as SharedArrayBuffer } // created above
    // Without the options of this process, such as a debugger's port.
    this.#worker = new Worker(module, { workerData, execArgv: [], resourceLimits })
    this.#worker.on('message', async (message: FromThread) => {
      await this.#receive(message)
      Atomics.add(this.#received, 0, weightOf(message))
      Atomics.notify(this.#received, 0)
    })
    this.#worker.on('messageerror', (error) => this.#fail(error))
    this.#worker.on('error', (error) => this.#die(new Error(`The thread of the processor died: ${error.message}`, { cause: error })))
    this.#worker.on('exit', (code) => this.#die(new Error(`The thread of the processor has ended (exit code ${code}).`)))
  }

  /** Whether it can compute another job: it is alive, and its last job ended as its processor intended. */
  get isFit(): boolean {
    return this.#isFit
  }

  /**
   * Computes a job. Rejects with the error that the processor threw (a `JobFailure` stays one), and if the thread dies.
   */
  run(job: ThreadJob, input: unknown): Promise<unknown> {
    const abort = () => this.#post({ type: 'abort', why: causeOf(job.signal) })
    const result = new Promise<unknown>((resolve, reject) => {
      this.#running = { job, resolve, reject }
    })
    job.alive()
    this.#post({ type: 'start', id: job.id, traceparent: job.traceparent, input, reports: Object.keys(job.reports) })
    if (job.signal.aborted) abort()
    else job.signal.addEventListener('abort', abort)
    return result.finally(() => job.signal.removeEventListener('abort', abort))
  }

  /** Terminates the thread, whatever it is doing. */
  async end(): Promise<void> {
    this.#isFit = false
    await this.#worker.terminate()
  }

  /** Resolves when there is room for another message; never rejects. */
  async #receive(message: FromThread): Promise<void> {
    const running = this.#running
    if (!running) return
    const { job } = running
    job.alive()
    switch (message.type) {
      case 'report':
        return this.#report(running, message.name, message.args)
      case 'metrics': {
        // All of them in this turn: the messages after this one are handled while it waits for room.
        const reports = message.points.map((args) => this.#report(running, 'metric', args))
        return void (await Promise.all(reports))
      }
      case 'invalid':
        return this.#fail(errorOf(message.fault))
      case 'log':
        return job.log(message.level === undefined ? message.line : { level: message.level, message: message.line })
      case 'flush':
        return void job.flush().then(() => this.#post({ type: 'flushed', flush: message.flush }))
      case 'call':
        return void this.#call(job, message).then((answer) => this.#post({ type: 'answered', call: message.call, answer }))
      case 'done':
        this.#running = undefined
        return running.resolve(message.result)
      case 'failed': {
        this.#running = undefined
        // An unexpected error may have left the thread in any state.
        if (message.fault.failure === undefined && !job.signal.aborted) void this.end()
        return running.reject(errorOf(message.fault))
      }
    }
  }

  /** A refused report fails the attempt, as it does for a processor in this process. */
  async #report({ job }: Running, name: string, args: readonly unknown[]): Promise<void> {
    try {
      await job.reports[name]?.(...args)
    } catch (error) {
      this.#fail(asError(error))
    }
  }

  async #call({ calls }: ThreadJob, { name, args }: FromThread & { type: 'call' }): Promise<Answer> {
    try {
      return { value: await calls[name](...args) }
    } catch (error) {
      return { fault: faultOf(error) }
    }
  }

  #fail(error: Error): void {
    this.#die(error)
    void this.end()
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message)
  }

  #die(error: Error): void {
    this.#isFit = false
    this.#running?.reject(error)
    this.#running = undefined
  }
}

/** A job's signal is only aborted with a `Stop`. Any other reason is passed on as a cancel. */
function causeOf({ reason }: AbortSignal): StopCause {
  return reason?.why ?? 'cancelled'
}
