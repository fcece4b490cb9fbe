import { CODES } from '../protocol/codes.js'
import type { RunSnapshot } from '../protocol/run-messages.js'
import { isFinal } from '../protocol/status.js'
import { apply, isSnapshot, type JobView, type LiveMessage, viewOf } from './job-view.js'

/** A handler whose event is at least this; written as a method, since each implementation declares an event of its own. */
type Handler<E> = { handle(event: E): void }['handle'] | null

/** The part of the WebSocket interface that is used: a browser's own, or the class of `ws`. */
export interface WebSocketLike {
  onopen: Handler<object>
  onmessage: Handler<{ readonly data: unknown }>
  onclose: Handler<{ readonly code: number; readonly reason: string }>
  onerror: Handler<object>
  send(text: string): void
  close(code?: number): void
}

export interface WatchOptions {
  /** `ws://…/api/v2/ws/runs/<run_id>` */
  readonly url: string
  /** Asked for at each connect, so that it may be renewed. Goes in the first message, never in the URL. */
  readonly token: () => string | Promise<string>
  readonly WebSocket: new (url: string) => WebSocketLike
  /** Each message that changed the view, in order, each durable one exactly once. The snapshot comes as it is. */
  readonly onMessage?: (message: RunSnapshot | LiveMessage, view: JobView) => void
  /** The watch has ended and will not connect again: by `close()`, or for a reason that reconnecting cannot mend. */
  readonly onEnd?: (reason: { code: number; reason: string }) => void
  /** First and longest delay between connects, in ms. Doubled each time, with jitter. */
  readonly backoffMs?: { readonly first: number; readonly longest: number }
}

const FATAL = new Set<number>(
  Object.values(CODES)
    .filter((code) => !code.reconnect)
    .flatMap((code) => code.close ?? []),
)

/** Follows one job through reconnects, and proves of each message that nothing was lost before it. */
export class JobWatch {
  readonly #options: WatchOptions
  readonly #waiting = new Set<() => void>()
  #view: JobView | null = null
  /** Seq of the snapshot: what follows with a seq not above it is the replay that belongs to it. */
  #replayUpTo = 0
  #replayed = new Set<number>()
  #isRecovered = false
  /** From where the next connect resumes: what has really come. A snapshot whose replay was cut off does not count for what the replay still owed. */
  #resume: { epoch: string; seq: number } | null = null
  #socket: WebSocketLike | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #tries = 0
  /** Whether this connection has brought a snapshot. */
  #isGood = false
  #ended: { code: number; reason: string } | undefined

  constructor(options: WatchOptions) {
    this.#options = options
  }

  /** The state as far as it is known; null before the first snapshot. */
  get view(): JobView | null {
    return this.#view
  }

  start(): this {
    if (!this.#socket && !this.#ended) this.#connect()
    return this
  }

  /** Resolves with the first state that satisfies a condition. Rejects when the watch ends before. */
  async until(condition: (view: JobView) => boolean): Promise<JobView> {
    while (!this.#view || !condition(this.#view)) {
      if (this.#ended) throw new Error(`the watch has ended: ${this.#ended.code} ${this.#ended.reason}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
    return this.#view
  }

  /** Resolves with the final state, its final message at hand. */
  finished(): Promise<JobView> {
    return this.until((view) => isFinal(view.status) && view.final !== null)
  }

  /** Asks for the end of the job. Throws while there is no connection. */
  cancel(): void {
    if (!this.#isGood || !this.#socket) throw new Error('not connected: try again, or POST …/cancel')
    this.#socket.send(JSON.stringify({ type: 'cancel' }))
  }

  close(): void {
    this.#end({ code: 1000, reason: 'closed by this side' })
  }

  #connect(): void {
    const { url, WebSocket, token } = this.#options
    const resume = this.#resume
    const socket = new WebSocket(resume ? `${url}?after=${resume.seq}&epoch=${encodeURIComponent(resume.epoch)}` : url)
    this.#socket = socket
    this.#isGood = false
    socket.onopen = () => {
      Promise.resolve()
        .then(token)
        .then(
          (text) => socket === this.#socket && socket.send(JSON.stringify({ type: 'auth', token: text })),
          () => socket.close(),
        )
    }
    socket.onmessage = ({ data }) => socket === this.#socket && this.#receive(String(data))
    socket.onerror = () => {} // a close follows
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#lost(code, reason)
  }

  #receive(text: string): void {
    const message = JSON.parse(text) as { type: string; seq?: number } // from our own hub, of the shapes that protocol/ declares
    if (isSnapshot(message)) this.#begin(message)
    else if (typeof message.seq === 'number') this.#follow(message as LiveMessage)
  }

  #begin(snapshot: RunSnapshot): void {
    this.#tries = 0
    this.#isGood = true
    const before = this.#view
    // Recovered, the final message that is known already is not sent again.
    const final = snapshot.recovered && before && isFinal(snapshot.status) ? before.final : null
    this.#view = { ...viewOf(snapshot), final }
    const { epoch, seq } = snapshot
    // Recovered, each entry of the replay brings it on. Else the snapshot says it all, but for the final message.
    this.#isRecovered = snapshot.recovered === true
    if (!this.#isRecovered) this.#resume = isFinal(snapshot.status) ? null : { epoch, seq }
    this.#replayUpTo = snapshot.seq
    this.#replayed = new Set()
    this.#tell(snapshot)
  }

  #follow(message: LiveMessage): void {
    const view = this.#view
    if (!view) return
    if (message.seq <= this.#replayUpTo) return this.#replay(view, message)
    const last = view.seq
    if (message.seq <= last) return // a duplicate
    if ((message.prev ?? message.seq - 1) > last) return this.#reconnect() // something is missing: resume from what is proved
    this.#view = apply(view, message)
    this.#resume = { epoch: view.epoch, seq: message.seq }
    this.#tell(message)
  }

  /** The snapshot says more than an older message can; only the final message adds to it. */
  #replay(view: JobView, message: LiveMessage): void {
    if (view.seq > this.#replayUpTo || this.#replayed.has(message.seq)) return
    this.#replayed.add(message.seq)
    const isEnd = message.type === 'completed' || message.type === 'error' || message.type === 'cancelled'
    if (this.#isRecovered) this.#resume = { epoch: view.epoch, seq: message.seq }
    if (isEnd && isFinal(view.status)) {
      this.#view = { ...view, final: message }
      // Nothing follows it.
      this.#resume = { epoch: view.epoch, seq: view.seq }
    }
    this.#tell(message)
  }

  #tell(message: RunSnapshot | LiveMessage): void {
    if (this.#view) this.#options.onMessage?.(message, this.#view)
    this.#wake()
  }

  #reconnect(): void {
    const socket = this.#socket
    this.#connect()
    socket?.close()
  }

  #lost(code: number, reason: string): void {
    this.#socket = undefined
    // A token that ran out on a connection that was good: the next connect asks for a new one.
    const hasExpired = code === CODES.expired.close && this.#isGood
    this.#isGood = false
    if (FATAL.has(code) && !hasExpired) return this.#end({ code, reason })
    const { first, longest } = this.#options.backoffMs ?? { first: 250, longest: 15_000 }
    const delay = Math.min(first * 2 ** this.#tries, longest) * (0.5 + Math.random() / 2)
    this.#tries += 1
    this.#timer = setTimeout(() => this.#connect(), delay)
  }

  #end(reason: { code: number; reason: string }): void {
    if (this.#ended) return
    this.#ended = reason
    clearTimeout(this.#timer)
    const socket = this.#socket
    this.#socket = undefined
    socket?.close()
    this.#options.onEnd?.(reason)
    this.#wake()
  }

  #wake(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}

/** Watches a job over any hub node; see `JobWatch`. */
export function watchJob(options: WatchOptions): JobWatch {
  return new JobWatch(options).start()
}
