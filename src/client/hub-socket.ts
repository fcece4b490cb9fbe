/**
 * A handler whose event has at least these fields. The method form makes it bivariant, since implementations declare
 * their own event types.
 */
type Handler<E> = { handle(event: E): void }['handle'] | null

/** The used part of the WebSocket interface: a browser's own class, or the class of `ws`. */
export interface WebSocketLike {
  onopen: Handler<object>
  onmessage: Handler<{ readonly data: unknown }>
  onclose: Handler<{ readonly code: number; readonly reason: string }>
  onerror: Handler<object>
  send(text: string): void
  close(code?: number): void
}

/** A message of the hub, in one of the shapes that `protocol/` declares. */
export interface Received {
  readonly type: string
}

export type WebSocketClass = new (url: string) => WebSocketLike

export interface HubSocketOptions {
  readonly url: string
  /** Without it the connection authenticates by cookie. */
  readonly token?: (() => string | Promise<string>) | undefined
  readonly WebSocket: WebSocketClass
}

/** Receives the events of a socket until this side closes it. */
export interface HubSocketOwner {
  received(socket: HubSocket, message: Received): void
  closed(socket: HubSocket, code: number, reason: string): void
}

/** Minimum time between renewals. A hub warns again at once if a new token is within its warning period. */
const RENEWAL_PAUSE_MS = 1000
/**
 * A silent socket is pinged after this time, and is considered dead if no message follows within `ANSWER_MS`: the
 * WebSocket of a browser does not report a cut.
 */
const PING_AFTER_MS = 25_000
const ANSWER_MS = 10_000
/** The same after the page or the network was away: a dead socket is likely then. */
const PROBE_MS = 2000
/** The close code for a cut connection (RFC 6455, section 7.4.1). */
export const ABNORMAL_CLOSURE = 1006
/** A socket that does not open within this time is given up. */
const OPENING_MS = 20_000
/** Delay before the next renewal if no newer token was available. */
const RENEWAL_RETRY_MS = 5000

/**
 * One WebSocket to a hub. It gets the token before it opens, since a hub waits for it only a few seconds, and a new one
 * when the hub warns that the token expires.
 */
export class HubSocket {
  readonly #options: HubSocketOptions
  readonly #owner: HubSocketOwner
  #socket: WebSocketLike | undefined
  #isOpen = false
  #isClosed = false
  #warning = ''
  #renewedAt = Number.NEGATIVE_INFINITY
  #timer: ReturnType<typeof setTimeout> | undefined
  #lifeTimer: ReturnType<typeof setTimeout> | undefined

  constructor(options: HubSocketOptions, owner: HubSocketOwner) {
    this.#options = options
    this.#owner = owner
    this.#getToken(
      (token) => this.#open(token),
      (error) => this.#fail(error instanceof Error ? error.message : String(error)),
    )
  }

  send(message: object): void {
    this.#socket?.send(JSON.stringify(message))
  }

  /** A connecting socket is closed once it is open, since browsers log a warning otherwise. */
  close(): void {
    this.#end()
    if (this.#isOpen) this.#socket?.close(1000)
    else if (this.#socket) this.#lifeTimer = setTimeout(() => this.#socket?.close(), OPENING_MS)
  }

  /** Pings an open socket, which is considered dead if no message follows soon. */
  probe(): void {
    if (this.#isOpen && !this.#isClosed) this.#ping(PROBE_MS)
  }

  #open(token: string | undefined): void {
    const socket = new this.#options.WebSocket(this.#options.url)
    this.#socket = socket
    this.#lifeTimer = setTimeout(() => this.#giveUp('no answer'), OPENING_MS)
    socket.onopen = () => {
      this.#isOpen = true
      clearTimeout(this.#lifeTimer)
      if (this.#isClosed) return socket.close(1000)
      this.#watchLife()
      if (token !== undefined) this.send({ type: 'auth', token })
    }
    socket.onmessage = ({ data }) => {
      if (this.#isClosed) return
      const message = messageOf(data)
      if (!message) return this.#giveUp('not a hub')
      this.#watchLife()
      if (message.type === 'pong') return
      if (message.type === 'token_expiring') this.#renew(message.expires_at ?? '')
      else if (message.type === 'refused' && message.request === 'auth') this.#renewIn(RENEWAL_RETRY_MS)
      else this.#owner.received(this, message)
    }
    socket.onerror = () => {} // `onclose` follows
    socket.onclose = ({ code, reason }) => {
      clearTimeout(this.#lifeTimer)
      if (this.#isClosed) return
      this.#end()
      // A WebSocket gives no reason for a cut or for a failed connect.
      const cut = this.#isOpen ? 'the connection was lost' : 'the hub cannot be reached'
      this.#owner.closed(this, code, reason || (code === ABNORMAL_CLOSURE ? cut : ''))
    }
  }

  #watchLife(): void {
    clearTimeout(this.#lifeTimer)
    this.#lifeTimer = setTimeout(() => this.#ping(ANSWER_MS), PING_AFTER_MS)
  }

  #ping(answerMs: number): void {
    clearTimeout(this.#lifeTimer)
    this.send({ type: 'ping' })
    this.#lifeTimer = setTimeout(() => this.#giveUp('no answer'), answerMs)
  }

  /** Nothing useful arrives any more. The WebSocket itself may report that only after minutes, or never. */
  #giveUp(reason: string): void {
    this.#socket?.close()
    this.#fail(reason)
  }

  #fail(reason: string): void {
    if (this.#isClosed) return
    this.#end()
    this.#owner.closed(this, ABNORMAL_CLOSURE, reason)
  }

  /**
   * Renews once per warning. If a warning repeats the same expiry, the new token was no newer, so the next renewal is
   * delayed. Without a newer token the hub closes the session.
   */
  #renew(expiresAt: string): void {
    const pauseMs = expiresAt === this.#warning ? RENEWAL_RETRY_MS : RENEWAL_PAUSE_MS
    this.#warning = expiresAt
    this.#renewIn(this.#renewedAt + pauseMs - performance.now())
  }

  #renewIn(ms: number): void {
    clearTimeout(this.#timer)
    if (!this.#options.token) return
    this.#timer = setTimeout(
      () => {
        this.#renewedAt = performance.now()
        this.#getToken(
          (token) => this.send({ type: 'auth', token }),
          () => this.#renewIn(RENEWAL_RETRY_MS),
        )
      },
      Math.max(0, ms),
    )
  }

  /** Does nothing once closed. Passes undefined if no token is needed. */
  #getToken(answered: (token: string | undefined) => void, failed: (error: unknown) => void): void {
    const unlessClosed =
      <T>(act: (value: T) => void) =>
      (value: T) =>
        this.#isClosed ? undefined : act(value)
    Promise.resolve()
      .then(() => this.#options.token?.())
      .then(unlessClosed(answered))
      .catch(unlessClosed(failed))
  }

  #end(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#lifeTimer)
  }
}

interface HubMessage extends Received {
  readonly expires_at?: string
  readonly request?: string
}

/** Null for a message that no hub sends: another server may respond at its address. */
function messageOf(data: unknown): HubMessage | null {
  try {
    const message = JSON.parse(String(data)) as Partial<HubMessage> | null
    return typeof message?.type === 'string' ? (message as HubMessage) : null
  } catch {
    return null
  }
}
