import { Connection } from './connection.js'
import type { Received } from './hub-socket.js'
import { errorOf, type SocketAccess } from './job-events.js'
import { isSnapshot } from './job-view.js'
import { isLogMessage, LogPosition, type NumberedLine } from './log-fold.js'
import { isProcessSnapshot } from './process-view.js'

export interface LogOptions {
  /** Continues after this line: `position` of the iterator that has returned it. */
  readonly after?: { readonly epoch: string; readonly n: number }
  /** Ends the iteration, which rejects with the reason of the signal. */
  readonly signal?: AbortSignal
}

/**
 * Maximum unread lines. Beyond it the connection is closed; once they are read, it is opened again from the last one.
 */
const MAX_UNREAD = 5000

/**
 * The lines of the log of one job, each once and in order: those that are kept, then live ones, up to the last one of
 * the execution. It reconnects and resumes by itself. Numbers that are missing before a line are of lines that were not
 * kept, because the job wrote more than the limit of the log. It connects with the first `next()` and holds no
 * resources once it has ended.
 */
export class JobLog implements AsyncIterableIterator<NumberedLine, undefined> {
  readonly #id: string
  readonly #sockets: () => Promise<SocketAccess>
  readonly #signal: AbortSignal | undefined
  readonly #onEnd: () => void
  readonly #received: LogPosition
  readonly #unread: { readonly line: NumberedLine; readonly epoch: string }[] = []
  #position: { readonly epoch: string; readonly n: number } | null
  #connection: Connection | undefined
  #isConnecting = false
  #end: { readonly error?: unknown } | undefined
  #waiting: (() => void)[] = []

  /**
   * `sockets` is called before each connection; its rejection ends the iteration. `onEnd` is called once, when all
   * resources are released.
   */
  constructor(id: string, sockets: () => Promise<SocketAccess>, { after, signal }: LogOptions = {}, onEnd: () => void = () => {}) {
    this.#id = id
    this.#sockets = sockets
    this.#signal = signal
    this.#onEnd = onEnd
    this.#received = new LogPosition(after)
    this.#position = after ?? null
    if (signal?.aborted) this.close(signal.reason)
    else signal?.addEventListener('abort', this.#abort, { once: true })
  }

  /** The position of the last line that was read; null before the first one. */
  get position(): { readonly epoch: string; readonly n: number } | null {
    return this.#position
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Rejects with a `RuncastError` if the hub ended the connection for good, or with the error given to `close`. */
  async next(): Promise<IteratorResult<NumberedLine, undefined>> {
    for (;;) {
      const unread = this.#unread.shift()
      if (unread) {
        this.#position = { epoch: unread.epoch, n: unread.line.n }
        return { done: false, value: unread.line }
      }
      if (this.#end) {
        const { error } = this.#end
        this.#end = {}
        if (error !== undefined) throw error
        return { done: true, value: undefined }
      }
      const woken = new Promise<void>((resolve) => this.#waiting.push(resolve))
      if (!this.#connection && !this.#isConnecting) void this.#connect()
      await woken
    }
  }

  /** Ends the iteration, like leaving a `for await` loop. */
  async return(): Promise<IteratorResult<NumberedLine, undefined>> {
    this.close()
    return { done: true, value: undefined }
  }

  /** Ends the iteration at once. Waiting calls reject with the error, or resolve as after the last line. */
  close(error?: unknown): void {
    if (this.#end) return
    this.#unread.length = 0
    this.#finish(error)
  }

  readonly #abort = (): void => this.close(this.#signal?.reason)

  #finish(error?: unknown): void {
    if (this.#end) return
    this.#end = error === undefined ? {} : { error }
    this.#signal?.removeEventListener('abort', this.#abort)
    this.#disconnect()
    this.#onEnd()
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  async #connect(): Promise<void> {
    this.#isConnecting = true
    try {
      const { url, token, WebSocket } = await this.#sockets()
      if (this.#end) return
      const connection: Connection = new Connection(
        {
          url: url(`/api/jobs/${encodeURIComponent(this.#id)}/socket`),
          ...(token && { token }),
          ...(WebSocket && { WebSocket }),
          onEnd: (reason) => {
            if (this.#connection === connection) this.#finish(errorOf(reason))
          },
        },
        {
          query: () => this.#received.query,
          isFirstState: (message) => isSnapshot(message) || isProcessSnapshot(message),
          receive: (message) => this.#receive(message),
        },
      )
      this.#connection = connection
      connection.start()
    } catch (error) {
      this.#finish(error)
    } finally {
      this.#isConnecting = false
    }
  }

  #disconnect(): void {
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
  }

  #receive(message: Received): void {
    if (!isLogMessage(message)) return
    const { epoch } = message
    for (const line of this.#received.add(message).lines) this.#unread.push({ line, epoch })
    if (message.end) return this.#finish()
    if (this.#unread.length >= MAX_UNREAD) this.#disconnect()
    this.#wake()
  }
}
