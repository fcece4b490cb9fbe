import { CODES, type Code } from '../protocol/codes.js'
import { Line, NO_CLOSE, type Received, type WebSocketClass } from './line.js'

export interface ConnectionOptions {
  /** `wss://…` or `ws://…`; with a query of its own, where it has one. In a page it may be relative to the page. */
  readonly url: string
  /** Asked for before each connect and when the hub warns that the last one runs out. Goes in a message, never in the URL. A page that is logged in by a cookie needs none. */
  readonly token?: () => string | Promise<string>
  /** The class of `ws` where there is no global one (Node before 22). */
  readonly WebSocket?: WebSocketClass
  /** The watch has ended and will not connect again: by `close()`, or for a reason that reconnecting cannot mend. */
  readonly onEnd?: (reason: EndReason) => void
  /** First and longest delay between connects, in ms. Doubled each time, with jitter. */
  readonly backoffMs?: { readonly first: number; readonly longest: number }
}

export interface EndReason {
  readonly code: number
  readonly reason: string
}

/** Immutable: each change is another object. */
export interface ConnectionState {
  /** `connecting`: for the first time. `online`: the state is there and up to date. `ended`: for good. */
  readonly status: 'connecting' | 'online' | 'reconnecting' | 'ended'
  /** Why the last connection was lost, or why the watch has ended. */
  readonly reason: EndReason | null
  /** When the next attempt begins, in ms since the epoch; null where none is planned, or one is under way. */
  readonly nextAttemptAt: number | null
}

/** What is said over a connection, and from where the next one goes on. */
export interface Dialogue {
  /** Parameters of the next connect. */
  query(): Readonly<Record<string, string>>
  /** Whether a message is the first one that a connection brings of what is watched. */
  isOpening(message: Received): boolean
  receive(message: Received): void
}

const DEFAULT_BACKOFF_MS = { first: 250, longest: 15_000 }

/** How often a watch tries again before one of these codes ends it. */
const TRIES: ReadonlyMap<number, number> = new Map(
  Object.values<Code>(CODES).flatMap(({ close, reconnect, retries = 0 }) =>
    close === null || reconnect ? [] : [[close, retries] as const],
  ),
)

/**
 * A watch's way to any hub, kept up over cuts, renewals and hubs that stop:
 *
 *   connecting ──opening──► good ──drain──► good, with a second line on its way ──its opening──► good, on the second alone
 *        ▲───── backoff ─────┴── close ────────────────┘
 */
export class Connection {
  readonly #options: ConnectionOptions
  readonly #dialogue: Dialogue
  readonly #url: URL
  readonly #WebSocket: WebSocketClass
  readonly #listeners = new Set<() => void>()
  #state: ConnectionState = { status: 'connecting', reason: null, nextAttemptAt: null }
  /** The line whose messages count. */
  #line: Line | undefined
  #isGood = false
  /** Takes over with its opening; until then what comes over the first one is used as usual. */
  #successor: Line | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** In a row, without success: of any kind, and those that a hub has refused. */
  #tries = 0
  #refusals = 0

  /** Throws a TypeError where the URL is none, or there is no WebSocket. */
  constructor(options: ConnectionOptions, dialogue: Dialogue) {
    this.#options = options
    this.#dialogue = dialogue
    this.#url = socketUrl(options.url)
    this.#WebSocket = options.WebSocket ?? globalWebSocket()
  }

  start(): void {
    if (!this.#line && this.#state.status !== 'ended') this.#connect()
  }

  get state(): ConnectionState {
    return this.#state
  }

  /** Calls after each change of the state or of what is watched; the function that it returns calls that off. */
  subscribe(listener: () => void): () => void {
    // Each call is a subscription of its own, also with the same function.
    const call = () => listener()
    this.#listeners.add(call)
    return () => this.#listeners.delete(call)
  }

  /** Whether a message can be sent now. */
  get isGood(): boolean {
    return this.#isGood
  }

  /** Throws while there is no connection. */
  send(message: object): void {
    if (!this.#isGood || !this.#line) throw new Error('not connected: try again')
    this.#line.send(message)
  }

  /** Connects anew at once, from what is proved now. */
  reconnect(reason: string): void {
    this.#line?.close()
    this.#connect()
    this.#become('reconnecting', { code: NO_CLOSE, reason })
  }

  close(reason: EndReason = { code: 1000, reason: 'closed by this side' }): void {
    if (this.#state.status === 'ended') return
    clearTimeout(this.#timer)
    this.#line?.close()
    this.#successor?.close()
    this.#line = undefined
    this.#successor = undefined
    this.#isGood = false
    this.#state = { status: 'ended', reason, nextAttemptAt: null }
    this.#options.onEnd?.(reason)
    this.changed()
  }

  /** Resolves with the first answer that is not null; asks again after each `changed`. Rejects when the watch ends before; who does not await it need not catch that. */
  when<T>(answer: () => T | null): Promise<T> {
    const found = new Promise<T>((resolve, reject) => {
      let stop = () => {}
      const look = () => {
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
      stop = this.subscribe(look)
      look()
    })
    found.catch(() => {})
    return found
  }

  changed(): void {
    for (const call of [...this.#listeners]) call()
  }

  #become(status: ConnectionState['status'], reason: EndReason | null = null, nextAttemptAt: number | null = null): void {
    this.#state = { status, reason, nextAttemptAt }
    this.changed()
  }

  #connect(): void {
    clearTimeout(this.#timer)
    this.#successor?.close()
    this.#successor = undefined
    this.#isGood = false
    this.#line = this.#open()
    if (this.#state.nextAttemptAt !== null) this.#become('reconnecting', this.#state.reason)
  }

  #open(): Line {
    const url = new URL(this.#url)
    for (const [name, value] of Object.entries(this.#dialogue.query())) url.searchParams.set(name, value)
    return new Line(
      { url: url.href, token: this.#options.token, WebSocket: this.#WebSocket },
      {
        received: (line, message) => this.#receive(line, message),
        closed: (line, code, reason) => (line === this.#successor ? this.#successorLost() : this.#lost({ code, reason })),
      },
    )
  }

  #receive(line: Line, message: Received): void {
    const isOpening = this.#dialogue.isOpening(message)
    if (line === this.#successor) {
      if (!isOpening) return
      this.#line?.close()
      this.#line = line
      this.#successor = undefined
    }
    if (message.type === 'drain') return this.#drain(message as Received & { readonly reconnect_in_ms?: number })
    if (isOpening) {
      this.#tries = 0
      this.#refusals = 0
      this.#isGood = true
      if (this.#state.status !== 'online') this.#state = { status: 'online', reason: null, nextAttemptAt: null }
    }
    this.#dialogue.receive(message)
  }

  /** This hub stops: another one is asked before it does. */
  #drain({ reconnect_in_ms = 0 }: { readonly reconnect_in_ms?: number }): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#succeed(), Math.max(0, reconnect_in_ms))
  }

  #succeed(): void {
    this.#successor ??= this.#open()
  }

  /** Tried again for as long as the first one lives; whether it can be mended is seen when that one closes. */
  #successorLost(): void {
    this.#successor = undefined
    this.#timer = setTimeout(() => this.#succeed(), this.#nextDelayMs())
  }

  #lost({ code, reason }: EndReason): void {
    clearTimeout(this.#timer)
    const wasGood = this.#isGood
    this.#isGood = false
    this.#line = undefined
    const tries = TRIES.get(code)
    // On a connection that was good a token or a job has expired: the next connect tells whether it is for good.
    if (tries !== undefined && !wasGood) this.#refusals += 1
    if (tries === 0 || (tries !== undefined && this.#refusals > tries)) return this.close({ code, reason })
    this.#line = this.#successor
    this.#successor = undefined
    if (this.#line) return this.#become('reconnecting', { code, reason })
    const delayMs = this.#nextDelayMs()
    this.#timer = setTimeout(() => this.#connect(), delayMs)
    this.#become('reconnecting', { code, reason }, Date.now() + delayMs)
  }

  #nextDelayMs(): number {
    const { first, longest } = this.#options.backoffMs ?? DEFAULT_BACKOFF_MS
    const delay = Math.min(first * 2 ** this.#tries, longest) * (0.5 + Math.random() / 2)
    this.#tries += 1
    return delay
  }
}

/** Throws a TypeError where it is none. What follows a # is for the page alone, and no WebSocket takes it. */
function socketUrl(text: string): URL {
  const { location } = globalThis as { readonly location?: { readonly href: string } }
  const url = URL.canParse(text, location?.href) ? new URL(text, location?.href) : null
  if (!url || !/^(ws|http)s?:$/.test(url.protocol)) throw new TypeError(`url: expected a ws:// or wss:// URL, not ${JSON.stringify(text)}`)
  url.protocol = url.protocol.replace('http', 'ws')
  url.hash = ''
  return url
}

function globalWebSocket(): WebSocketClass {
  const { WebSocket } = globalThis as { readonly WebSocket?: WebSocketClass }
  if (!WebSocket) throw new TypeError('WebSocket: expected the class of `ws`, since this runtime has none of its own')
  return WebSocket
}
