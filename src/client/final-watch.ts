import { RuncastError } from '../protocol/codes.js'
import { isFinal } from '../protocol/status.js'
import { errorOf, type SocketAccess } from './job-events.js'
import { type ProcessesMessage, type ProcessesWatch, watchProcesses } from './watch-processes.js'

/** A job that was seen running, and its position then. An end before that position belongs to an earlier execution. */
export interface RunningJob {
  readonly id: string
  readonly position: { readonly epoch: string; readonly seq: number }
}

interface Waiting extends RunningJob {
  readonly settle: (error?: unknown) => void
}

/** Waits for the ends of any number of jobs over one socket, which is open while there are waiting calls. */
export class FinalWatch {
  readonly #access: SocketAccess
  readonly #waiting = new Set<Waiting>()
  #watch: ProcessesWatch | undefined

  constructor(access: SocketAccess) {
    this.#access = access
  }

  /**
   * Resolves when a job has ended. Rejects with `not_found`, with the reason of `signal`, or with the reason for which
   * the hub ended the connection for good.
   */
  async ended(job: RunningJob, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    const watch = this.#open()
    let leave = () => {}
    const ended = new Promise<void>((resolve, reject) => {
      const waiting = { ...job, settle: (error?: unknown) => (error === undefined ? resolve() : reject(error)) }
      const abort = () => waiting.settle(signal?.reason)
      this.#waiting.add(waiting)
      signal?.addEventListener('abort', abort, { once: true })
      leave = () => {
        signal?.removeEventListener('abort', abort)
        this.#waiting.delete(waiting)
      }
      // Subscribes after the first list. If the watch ends first, `onEnd` settles all waiting calls.
      watch
        .until(() => true)
        .then(
          () => this.#waiting.has(waiting) && watch.subscribe(job.id),
          () => {},
        )
    })
    try {
      await ended
    } finally {
      leave()
      if (this.#waiting.size === 0) this.#close()
    }
  }

  /** Rejects all waiting calls. */
  close(error: unknown): void {
    for (const { settle } of this.#waiting) settle(error)
    this.#close()
  }

  #close(): void {
    const watch = this.#watch
    this.#watch = undefined
    watch?.close()
  }

  #open(): ProcessesWatch {
    if (this.#watch) return this.#watch
    const { url, token, WebSocket } = this.#access
    const watch = watchProcesses({
      url: url('/ws'),
      ...(token && { token }),
      ...(WebSocket && { WebSocket }),
      onMessage: (message) => this.#receive(message),
      onEnd: (reason) => {
        if (this.#watch !== watch) return
        this.#watch = undefined
        for (const { settle } of this.#waiting) settle(errorOf(reason))
      },
    })
    watch.subscribe(() => this.#check())
    this.#watch = watch
    return watch
  }

  #receive(message: ProcessesMessage): void {
    if (message.type !== 'refused' || message.code !== 'not_found') return
    for (const { id, settle } of this.#waiting) if (id === message.process_id) settle(new RuncastError('not_found'))
  }

  #check(): void {
    for (const { id, position, settle } of this.#waiting) {
      const known = this.#watch?.view.get(id)
      if (known && isFinal(known.status) && (known.epoch !== position.epoch || known.seq > position.seq)) settle()
    }
  }
}
