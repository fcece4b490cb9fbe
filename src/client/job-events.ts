import { CODES, type Code, type CodeName, RuncastError } from '../protocol/codes.js'
import type { ProcessSnapshot } from '../protocol/process-messages.js'
import { isFinal } from '../protocol/status.js'
import { Connection, type EndReason } from './connection.js'
import { isSnapshot, type JobSnapshot, type LiveMessage } from './job-view.js'
import type { Received, WebSocketClass } from './line.js'
import { isProcessSnapshot, type LiveProcessMessage } from './process-view.js'
import { Proof } from './proof.js'

/** What opens a socket, and who asks. */
export interface SocketAccess {
  /** Address of a socket at this path of the hub. */
  readonly url: (path: string) => string
  readonly token?: () => string | Promise<string>
  readonly WebSocket?: WebSocketClass
}

/** An event of a job, as it goes over the wire: in the run dialect or the process dialect, as the kind of the job has it. */
export type JobEvent = JobSnapshot | LiveMessage | ProcessSnapshot | LiveProcessMessage

export interface EventsOptions {
  /** Where a reader left off: the `epoch` of the last snapshot and the `seq` of the last event. */
  readonly after?: { readonly epoch: string; readonly seq: number }
  /** Ends the iteration: it rejects with the reason of the signal. */
  readonly signal?: AbortSignal
}

/** Events that wait for a reader who is slower than the job. Past this the connection is closed, and opened again from the last one once they are read. */
const MAX_UNREAD = 1000

/** A newer one stands for all unread ones. */
const TRANSIENT = new Set(['progress', 'process_progress'])
const FINAL = new Set(['completed', 'error', 'cancelled', 'process_completed', 'process_failed', 'process_cancelled'])

/**
 * The events of one job, in order: its state (a snapshot), then each event, each persisted one exactly once, up to the final one. Reconnects by itself and goes on
 * where it was. Another snapshot comes only where events before it are lost to this reader. Connects with the first `next()`, and holds nothing once it has ended.
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
  /** Seq of the state that is known: a final event before it belongs to an earlier execution. */
  #stateSeq = 0
  #end: { readonly error?: unknown } | undefined
  #waiting: (() => void)[] = []

  /** `sockets` is asked before each connection; what it rejects with ends the iteration. `onEnd`: called once, when it holds nothing any more. */
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

  /** Rejects with a `RuncastError` where the hub will not serve this job any more, or with what it was closed with. */
  async next(): Promise<IteratorResult<E, undefined>> {
    for (;;) {
      const message = this.#unread.shift()
      if (message) return { done: false, value: message as E } // as the dialect of this kind writes it
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

  /** Ends it, as leaving a `for await` loop does. */
  async return(): Promise<IteratorResult<E, undefined>> {
    this.close()
    return { done: true, value: undefined }
  }

  /** Ends it now, also for a reader that waits: with an error, or as after the last event. */
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
        isOpening: (message) => isSnapshot(message) || isProcessSnapshot(message),
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
    else if ('seq' in message) this.#follow(message as LiveMessage | LiveProcessMessage) // what has a place is an event of the job
  }

  #open(snapshot: Received, state: Pick<JobSnapshot, 'epoch' | 'seq' | 'status'>, recovered: boolean): void {
    const { epoch, seq, status } = state
    const before = this.#proof.position
    const hasFinal = this.#proof.open({ epoch, seq, recovered, isFinal: isFinal(status) })
    const isLossless = recovered || (before?.epoch === epoch && before.seq >= seq)
    this.#stateSeq = Math.max(seq, before?.epoch === epoch ? this.#stateSeq : 0)
    if (!this.#hasSnapshot || !isLossless) this.#tell(snapshot)
    this.#hasSnapshot = true
    if (hasFinal) this.#finish()
  }

  #follow(message: LiveMessage | LiveProcessMessage): void {
    const isEnd = FINAL.has(message.type)
    const verdict = this.#proof.judge(message, isEnd)
    if (verdict === 'gap') return this.#connection?.reconnect('a message was missing')
    if (verdict === 'known') return
    this.#stateSeq = Math.max(this.#stateSeq, message.seq)
    this.#tell(message)
    // A replay may hold the final event of an earlier execution: only that of the state now is the end.
    if (isEnd && message.seq === this.#stateSeq) this.#finish()
  }

  #tell(message: Received): void {
    if (TRANSIENT.has(message.type)) {
      const older = this.#unread.findLastIndex(({ type }) => type === message.type)
      if (older !== -1) this.#unread.splice(older, 1)
    }
    this.#unread.push(message)
    if (this.#unread.length >= MAX_UNREAD) this.#disconnect()
    this.#wake()
  }
}

/** Why a hub ended a connection for good, as an error. Several codes share the number 4001; the text says which. */
export function errorOf({ code, reason }: EndReason): RuncastError {
  const named = Object.entries<Code>(CODES).filter(([, { close }]) => close === code)
  const [name] = named.find(([, { text }]) => text === reason) ?? named[0] ?? ['internal']
  return new RuncastError(name as CodeName, reason) // a name of the table
}
