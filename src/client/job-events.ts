import { CODES, type Code, type CodeName, RuncastError } from '../protocol/codes.js'
import type { ProcessSnapshot } from '../protocol/process-messages.js'
import { FINAL_TYPES, isFinal } from '../protocol/status.js'
import { Connection, type EndReason } from './connection.js'
import type { Received, WebSocketClass } from './hub-socket.js'
import { isSnapshot, type JobSnapshot, type LiveMessage } from './job-view.js'
import { isProcessSnapshot, type LiveProcessMessage } from './process-view.js'
import { hasSeq, Proof } from './proof.js'

/** How to open a socket, and the credentials for it. */
export interface SocketAccess {
  /** The URL of a socket at this path of the hub. */
  readonly url: (path: string) => string
  readonly token?: () => string | Promise<string>
  readonly WebSocket?: WebSocketClass
}

/** An event of a job as on the wire, in the dialect of its kind: run or process. */
export type JobEvent = JobSnapshot | LiveMessage | ProcessSnapshot | LiveProcessMessage

export interface EventsOptions {
  /** The position to resume from: `epoch` of the last snapshot and `seq` of the last event. */
  readonly after?: { readonly epoch: string; readonly seq: number }
  /** Ends the iteration, which rejects with the reason of the signal. */
  readonly signal?: AbortSignal
}

/**
 * Maximum unread events. Beyond it the connection is closed; once they are read, it is opened again from the last one.
 */
const MAX_UNREAD = 1000

/** A newer event of such a type replaces unread ones. */
const TRANSIENT = new Set(['progress', 'process_progress'])

/**
 * The events of one job in order: its state (a snapshot), then each event, each persisted one exactly once, up to the
 * final one. It reconnects and resumes by itself. A further snapshot comes only if events before it are lost to this
 * reader. It connects with the first `next()` and holds no resources once it has ended.
 */
export class JobEvents<E extends JobEvent = JobEvent> implements AsyncIterableIterator<E, undefined> {
  readonly #id: string
  readonly #sockets: () => Promise<SocketAccess>
  readonly #signal: AbortSignal | undefined
  readonly #onEnd: () => void
  readonly #unread: Received[] = []
  readonly #proof: Proof
  #connection: Connection | undefined
  #isConnecting = false
  #hasSnapshot = false
  /** Seq of the known state. A final event before it belongs to an earlier execution. */
  #stateSeq = 0
  #end: { readonly error?: unknown } | undefined
  #waiting: (() => void)[] = []

  /**
   * `sockets` is called before each connection; its rejection ends the iteration. `onEnd` is called once, when all
   * resources are released.
   */
  constructor(id: string, sockets: () => Promise<SocketAccess>, { after, signal }: EventsOptions = {}, onEnd: () => void = () => {}) {
    this.#id = id
    this.#sockets = sockets
    this.#signal = signal
    this.#onEnd = onEnd
    this.#proof = after ? Proof.at(after.epoch, after.seq, false) : new Proof()
    if (signal?.aborted) this.close(signal.reason)
    else signal?.addEventListener('abort', this.#abort, { once: true })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  /** Rejects with a `RuncastError` if the hub ended the connection for good, or with the error given to `close`. */
  async next(): Promise<IteratorResult<E, undefined>> {
    for (;;) {
      const message = this.#unread.shift()
      if (message) return { done: false, value: message as E } // in the dialect of this kind
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
  async return(): Promise<IteratorResult<E, undefined>> {
    this.close()
    return { done: true, value: undefined }
  }

  /** Ends the iteration at once. Waiting calls reject with the error, or resolve as after the last event. */
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
      const access = await this.#sockets()
      if (this.#end) return
      this.#connection = this.#newConnection(access)
      this.#connection.start()
    } catch (error) {
      this.#finish(error)
    } finally {
      this.#isConnecting = false
    }
  }

  #newConnection({ url, token, WebSocket }: SocketAccess): Connection {
    const connection = new Connection(
      {
        url: url(`/api/jobs/${encodeURIComponent(this.#id)}/socket`),
        ...(token && { token }),
        ...(WebSocket && { WebSocket }),
        onEnd: (reason) => {
          if (this.#connection === connection) this.#finish(errorOf(reason))
        },
      },
      {
        query: () => this.#query(),
        isFirstState: (message) => isSnapshot(message) || isProcessSnapshot(message),
        receive: (message) => this.#receive(message),
      },
    )
    return connection
  }

  #disconnect(): void {
    const connection = this.#connection
    this.#connection = undefined
    connection?.close()
  }

  #query(): Readonly<Record<string, string>> {
    const { position } = this.#proof
    return position ? { after: String(position.seq), epoch: position.epoch } : {}
  }

  #receive(message: Received): void {
    if (isSnapshot(message)) this.#open(message, message, message.recovered === true)
    else if (isProcessSnapshot(message)) this.#open(message, message.process, message.recovered)
    // messages with a seq are events of the job
    else if (hasSeq(message)) this.#follow(message as LiveMessage | LiveProcessMessage)
  }

  #open(snapshot: Received, state: Pick<JobSnapshot, 'epoch' | 'seq' | 'status'>, recovered: boolean): void {
    const { epoch, seq, status } = state
    const before = this.#proof.position
    const hasFinal = this.#proof.open({ epoch, seq, recovered, isFinal: isFinal(status) })
    const isLossless = recovered || (before?.epoch === epoch && before.seq >= seq)
    this.#stateSeq = Math.max(seq, before?.epoch === epoch ? this.#stateSeq : 0)
    if (!this.#hasSnapshot || !isLossless) this.#deliver(snapshot)
    this.#hasSnapshot = true
    if (hasFinal) this.#finish()
  }

  #follow(message: LiveMessage | LiveProcessMessage): void {
    const isEnd = FINAL_TYPES.includes(message.type)
    const verdict = this.#proof.judge(message, isEnd)
    if (verdict === 'gap') return this.#connection?.reconnect('a message was missing')
    if (verdict === 'known') return
    this.#stateSeq = Math.max(this.#stateSeq, message.seq)
    this.#deliver(message)
    // A replay may contain the final event of an earlier execution; only the one of the current state ends the
    // iteration.
    if (isEnd && message.seq === this.#stateSeq) this.#finish()
  }

  #deliver(message: Received): void {
    if (TRANSIENT.has(message.type)) {
      const older = this.#unread.findLastIndex(({ type }) => type === message.type)
      if (older !== -1) this.#unread.splice(older, 1)
    }
    this.#unread.push(message)
    if (this.#unread.length >= MAX_UNREAD) this.#disconnect()
    this.#wake()
  }
}

/**
 * The reason for which a hub ended a connection for good, as an error. Several codes share the number 4001; the text
 * tells them apart.
 */
export function errorOf({ code, reason }: EndReason): RuncastError {
  const named = Object.entries<Code>(CODES).filter(([, { close }]) => close === code)
  const [name] = named.find(([, { text }]) => text === reason) ?? named[0] ?? ['internal']
  return new RuncastError(name as CodeName, reason) // a key of CODES
}
