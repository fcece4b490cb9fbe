import { CODES, type Code } from '../protocol/codes.js'
import { ABNORMAL_CLOSURE, HubSocket, type Received, type WebSocketClass } from './hub-socket.js'
import { isOffline, onWake } from './page.js'

export interface ConnectionOptions {
  /** `wss://…` or `ws://…`, with a query if needed. In a page it may be relative to the page. */
  readonly url: string
  /**
   * Called before each connect, and when the hub warns that the current token expires. The token is sent in a message,
   * never in the URL. Not needed in a page that authenticates by cookie.
   */
  readonly token?: () => string | Promise<string>
  /** The class of `ws`, if there is no global one (Node before 22). */
  readonly WebSocket?: WebSocketClass
  /** Called when the watch has ended for good: by `close()`, or for a reason that reconnecting cannot fix. */
  readonly onEnd?: (reason: EndReason) => void
  /** First and longest delay between connects, in ms. It doubles each time, with jitter. */
  readonly backoffMs?: { readonly first: number; readonly longest: number }
}

export interface EndReason {
  readonly code: number
  readonly reason: string
}

/** Immutable: each change creates a new object. */
export interface ConnectionState {
  /**
   * `connecting`: the first connect. `online`: the state is present and up to date. `offline`: reconnecting, and the
   * browser says that there is no network. `ended`: for good.
   */
  readonly status: 'connecting' | 'online' | 'reconnecting' | 'offline' | 'ended'
  /** When this status began, in ms since the epoch. */
  readonly since: number
  /** Why the last connection was lost, or why the watch ended. */
  readonly reason: EndReason | null
  /** When the next attempt starts, in ms since the epoch; null if none is planned or one is in progress. */
  readonly nextAttemptAt: number | null
}

/** Handles the messages of a connection, and knows where the next one resumes. */
export interface ConnectionHandler {
  /** Query parameters of the next connect. */
  query(): Readonly<Record<string, string>>
  /** Whether a message is the first one about the watched state on a connection. */
  isFirstState(message: Received): boolean
  receive(message: Received): void
}

/** Minimum time between two probes or immediate attempts, since a page may be shown and hidden many times. */
const WAKE_PAUSE_MS = 1000
const DEFAULT_BACKOFF_MS = { first: 250, longest: 15_000 }

/** Retries after each of these close codes before the watch ends. */
const MAX_RETRIES: ReadonlyMap<number, number> = new Map(
  Object.values<Code>(CODES).flatMap(({ close, reconnect, retries = 0 }) =>
    close === null || reconnect ? [] : [[close, retries] as const],
  ),
)

/**
 * The connection of a watch to any hub. It reconnects after cuts and moves away from a hub that stops:
 *
 *   connecting ──first state──► online ──drain──► online, successor connecting ──its first state──► online
 *        ▲─────── backoff ──────┴─── close ─────────────┘
 */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #handler: ConnectionHandler
  readonly #url: URL
  readonly #WebSocket: WebSocketClass
  readonly #listeners = new Set<() => void>()
  #state: ConnectionState = { status: 'connecting', since: Date.now(), reason: null, nextAttemptAt: null }
  /** The socket whose messages are used. */
  #socket: HubSocket | undefined
  #isOnline = false
  /** Takes over with its first state. Until then the messages of `#socket` are used. */
  #successor: HubSocket | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Consecutive failures: all attempts, and those that a hub rejected. */
  #tries = 0
  #rejections = 0
  #stopWaking = () => {}
  #wokeAt = Number.NEGATIVE_INFINITY

  /** Throws a TypeError if the URL is invalid or there is no WebSocket class. */
  constructor(options: ConnectionOptions, handler: ConnectionHandler) {
    this.#options = options
    this.#handler = handler
    this.#url = socketUrl(options.url)
    this.#WebSocket = options.WebSocket ?? globalWebSocket()
  }

  start(): void {
    if (this.#socket || this.#state.status === 'ended') return
    this.#stopWaking()
    this.#stopWaking = onWake(() => this.#wake())
    this.#connect()
  }

  get state(): ConnectionState {
    return this.#state
  }

  /**
   * Calls the listener after each change of the connection or the watched state. The returned function unsubscribes.
   */
  subscribe(listener: () => void): () => void {
    // Each call is a subscription of its own, even with the same function.
    const call = () => listener()
    this.#listeners.add(call)
    return () => this.#listeners.delete(call)
  }

  /** Whether a message can be sent now. */
  get isOnline(): boolean {
    return this.#isOnline
  }

  /** Throws if there is no connection. */
  send(message: object): void {
    if (!this.#isOnline || !this.#socket) throw new Error('not connected: wait until state.status is online')
    this.#socket.send(message)
  }

  /** Reconnects at once, from the last proved position. */
  reconnect(reason: string): void {
    this.#socket?.close()
    this.#connect()
    this.#reconnecting({ code: ABNORMAL_CLOSURE, reason })
  }

  close(reason: EndReason = { code: 1000, reason: 'closed by this side' }): void {
    if (this.#state.status === 'ended') return
    clearTimeout(this.#timer)
    this.#stopWaking()
    this.#socket?.close()
    this.#successor?.close()
    this.#socket = undefined
    this.#successor = undefined
    this.#isOnline = false
    this.#become('ended', reason)
    this.#options.onEnd?.(reason)
    this.changed()
  }

  /**
   * Resolves with the first result of `answer` that is not null; it is called again after each `changed`. Rejects if
   * the watch ends first; callers that do not await it need not catch that.
   */
  when<T>(answer: () => T | null): Promise<T> {
    const found = new Promise<T>((resolve, reject) => {
      let stop = () => {}
      const check = () => {
        const { status, reason } = this.#state
        try {
          const value = answer()
          if (value !== null) resolve(value)
          else if (status === 'ended') throw new Error(`the watch has ended: ${reason?.code} ${reason?.reason}`)
          else return
        } catch (error) {
          reject(error)
        }
        stop()
      }
      stop = this.subscribe(check)
      check()
    })
    found.catch(() => {})
    return found
  }

  changed(): void {
    for (const call of [...this.#listeners]) call()
  }

  #become(status: ConnectionState['status'], reason: EndReason | null = null, nextAttemptAt: number | null = null): void {
    const since = status === this.#state.status ? this.#state.since : Date.now()
    this.#state = { status, since, reason, nextAttemptAt }
  }

  #reconnecting(reason: EndReason | null, nextAttemptAt: number | null = null): void {
    this.#become(isOffline() ? 'offline' : 'reconnecting', reason, nextAttemptAt)
    this.changed()
  }

  /** The network or the page is back: does not wait for the next attempt, nor for a socket that may be dead. */
  #wake(): void {
    if (this.#wokeAt > performance.now() - WAKE_PAUSE_MS) return
    this.#wokeAt = performance.now()
    if (this.#state.nextAttemptAt === null) this.#socket?.probe()
    else this.#connect()
  }

  #connect(): void {
    clearTimeout(this.#timer)
    this.#successor?.close()
    this.#successor = undefined
    this.#isOnline = false
    this.#socket = this.#open()
    if (this.#state.nextAttemptAt !== null) this.#reconnecting(this.#state.reason)
  }

  #open(): HubSocket {
    const url = new URL(this.#url)
    for (const [name, value] of Object.entries(this.#handler.query())) url.searchParams.set(name, value)
    return new HubSocket(
      { url: url.href, token: this.#options.token, WebSocket: this.#WebSocket },
      {
        received: (socket, message) => this.#receive(socket, message),
        closed: (socket, code, reason) => (socket === this.#successor ? this.#successorFailed() : this.#lost({ code, reason })),
      },
    )
  }

  #receive(socket: HubSocket, message: Received): void {
    const isFirstState = this.#handler.isFirstState(message)
    if (socket === this.#successor) {
      if (!isFirstState) return
      this.#socket?.close()
      this.#socket = socket
      this.#successor = undefined
    }
    if (message.type === 'drain') return this.#drain(message as Received & { readonly reconnect_in_ms?: number })
    if (isFirstState) {
      this.#tries = 0
      this.#rejections = 0
      this.#isOnline = true
      if (this.#state.status !== 'online') this.#become('online')
    }
    this.#handler.receive(message)
  }

  /** This hub is stopping: connects to another one before it does. */
  #drain({ reconnect_in_ms = 0 }: { readonly reconnect_in_ms?: number }): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#openSuccessor(), Math.max(0, reconnect_in_ms))
  }

  #openSuccessor(): void {
    this.#successor ??= this.#open()
  }

  /** Retried as long as the first socket lives. When that one closes, its code decides whether to continue. */
  #successorFailed(): void {
    this.#successor = undefined
    this.#timer = setTimeout(() => this.#openSuccessor(), this.#nextDelayMs())
  }

  #lost({ code, reason }: EndReason): void {
    clearTimeout(this.#timer)
    const wasOnline = this.#isOnline
    this.#isOnline = false
    this.#socket = undefined
    const tries = MAX_RETRIES.get(code)
    // On a connection that was online, a token or job has expired: the next connect shows whether that is permanent.
    if (tries !== undefined && !wasOnline) this.#rejections += 1
    if (tries === 0 || (tries !== undefined && this.#rejections > tries)) return this.close({ code, reason })
    this.#socket = this.#successor
    this.#successor = undefined
    if (this.#socket) return this.#reconnecting({ code, reason })
    const delayMs = this.#nextDelayMs()
    this.#timer = setTimeout(() => this.#connect(), delayMs)
    this.#reconnecting({ code, reason }, Date.now() + delayMs)
  }

  #nextDelayMs(): number {
    const { first, longest } = this.#options.backoffMs ?? DEFAULT_BACKOFF_MS
    const delay = Math.min(first * 2 ** this.#tries, longest) * (0.5 + Math.random() / 2)
    this.#tries += 1
    return delay
  }
}

/** Throws a TypeError if the URL is invalid. The fragment is removed, since WebSocket rejects it. */
function socketUrl(text: string): URL {
  const { location } = globalThis as { readonly location?: { readonly href: string } }
  const url = URL.canParse(text, location?.href) ? new URL(text, location?.href) : null
  if (!url || !/^(ws|http)s?:$/.test(url.protocol)) throw new TypeError(`url: expected a ws:// or wss:// URL, got ${JSON.stringify(text)}`)
  url.protocol = url.protocol.replace('http', 'ws')
  url.hash = ''
  return url
}

function globalWebSocket(): WebSocketClass {
  const { WebSocket } = globalThis as { readonly WebSocket?: WebSocketClass }
  if (!WebSocket) throw new TypeError('WebSocket: expected the class of `ws`, since this runtime has no global WebSocket')
  return WebSocket
}
