import type { ResourceLimits } from 'node:worker_threads'
import type { AnyJob, AnyProcessor } from '../processor.js'
import { ProcessorThread, type ThreadJob } from './processor-thread.js'

/**
 * Threads that compute jobs of one kind. A processor that never yields can thus be ended, and does not block the rest
 * of its process. There are as many threads as concurrent jobs. A thread is used again unless its job was ended by
 * force or failed with an unexpected error.
 */
export class ThreadPool<P extends AnyProcessor = AnyProcessor> {
  readonly #module: URL
  readonly #limits: ResourceLimits
  readonly #idle: ProcessorThread[] = []
  readonly #busy = new Set<ProcessorThread>()

  /** `module` calls `serveJobs` with the processor. */
  constructor(module: URL, limits: ResourceLimits = {}) {
    this.#module = module
    this.#limits = limits
  }

  /** A processor like any other to the runner. */
  readonly processor = (async (input: unknown, job: AnyJob) => {
    const thread = this.#take()
    const kill = () => void thread.end()
    job.killed.addEventListener('abort', kill)
    try {
      return (await thread.run(threadJobOf(job), input)) as object // as its processor returned it; the runner checks it
    } finally {
      job.killed.removeEventListener('abort', kill)
      this.#busy.delete(thread)
      if (thread.isFit) this.#idle.push(thread)
    }
  }) as AnyProcessor as P // as its processor is

  /** Call it after the last job has ended. A job that still runs is ended. */
  async close(): Promise<void> {
    await Promise.all([...this.#idle, ...this.#busy].map((thread) => thread.end()))
  }

  #take(): ProcessorThread {
    let thread = this.#idle.pop()
    // An idle thread may have died.
    while (thread && !thread.isFit) thread = this.#idle.pop()
    thread ??= new ProcessorThread(this.#module, this.#limits)
    this.#busy.add(thread)
    return thread
  }
}

function threadJobOf({ id, traceparent, signal, killed: _killed, flush, log, artifact, folder, alive, ...reports }: AnyJob): ThreadJob {
  // its arguments are those of the thread's processor
  const calls = { artifact, folder } as unknown as ThreadJob['calls']
  // all other members of a job are reports
  return { id, traceparent, signal, flush, log, alive, calls, reports: reports as ThreadJob['reports'] }
}
