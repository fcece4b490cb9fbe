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

/** A message of our own hub, of the shapes that `protocol/` declares. */
export interface Received {
  readonly type: string
}

export interface LineOptions {
  readonly url: string
  readonly token: () => string | Promise<string>
  readonly WebSocket: new (url: string) => WebSocketLike
}

/** Told by a line, until it is closed by this side. */
export interface LineOwner {
  received(line: Line, message: Received): void
  closed(line: Line, code: number, reason: string): void
}

/** A hub warns again at once where a token lives shorter than its warning. */
const RENEWAL_PAUSE_MS = 1000
/** A line that says nothing for so long is asked for a sign of life, and is dead without an answer: the WebSocket of a browser never tells of a cut. */
const PING_AFTER_MS = 25_000
const ANSWER_MS = 10_000
/** As a WebSocket says of a connection that was cut (RFC 6455, section 7.4.1). */
const NO_CLOSE = 1006
/** A line that does not open in this time is given up. */
const OPENING_MS = 20_000
/** Where no newer token was to be had. */
const RENEWAL_RETRY_MS = 5000

/** One socket: brings its token when it opens, and a new one when the hub warns that it runs out. */
export class Line {
  readonly #socket: WebSocketLike
  readonly #token: LineOptions['token']
  #isClosed = false
  #warning = ''
  #renewedAt = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #owner: LineOwner
  #lifeTimer: ReturnType<typeof setTimeout> | undefined

  constructor({ url, token, WebSocket }: LineOptions, owner: LineOwner) {
    this.#token = token
    this.#owner = owner
    this.#socket = new WebSocket(url)
    this.#lifeTimer = setTimeout(() => this.#die(), OPENING_MS)
    this.#socket.onopen = () => {
      if (this.#isClosed) return
      this.#watchLife()
      // Without a token there is nothing to be had: a close follows, and another try.
      this.#authenticate(() => this.#socket.close())
    }
    this.#socket.onmessage = ({ data }) => {
      const message = JSON.parse(String(data)) as Received & { readonly expires_at?: string; readonly request?: string }
      if (this.#isClosed) return
      this.#watchLife()
      if (message.type === 'pong') return
      if (message.type === 'token_expiring') this.#renew(message.expires_at ?? '')
      else if (message.type === 'refused' && message.request === 'auth') this.#renewIn(RENEWAL_RETRY_MS)
      else owner.received(this, message)
    }
    this.#socket.onerror = () => {} // a close follows
    this.#socket.onclose = ({ code, reason }) => {
      if (this.#isClosed) return
      this.#end()
      owner.closed(this, code, reason)
    }
  }

  send(message: object): void {
    this.#socket.send(JSON.stringify(message))
  }

  close(): void {
    this.#end()
    this.#socket.close(1000)
  }

  #watchLife(): void {
    clearTimeout(this.#lifeTimer)
    this.#lifeTimer = setTimeout(() => {
      this.send({ type: 'ping' })
      this.#lifeTimer = setTimeout(() => this.#die(), ANSWER_MS)
    }, PING_AFTER_MS)
  }

  /** Nothing is heard any more: what the socket itself will say of it may come in minutes, or never. */
  #die(): void {
    if (this.#isClosed) return
    this.#end()
    this.#socket.close()
    this.#owner.closed(this, NO_CLOSE, 'nothing was heard')
  }

  /** Once per warning. One that tells of the same end again tells that the new token was no newer: then later. Where none comes, the hub closes in the end. */
  #renew(expiresAt: string): void {
    const pauseMs = expiresAt === this.#warning ? RENEWAL_RETRY_MS : RENEWAL_PAUSE_MS
    this.#warning = expiresAt
    this.#renewIn(this.#renewedAt + pauseMs - Date.now())
  }

  #renewIn(ms: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => {
        this.#renewedAt = Date.now()
        this.#authenticate(() => !this.#isClosed && this.#renewIn(RENEWAL_RETRY_MS))
      },
      Math.max(0, ms),
    )
  }

  #authenticate(failed: () => unknown): void {
    Promise.resolve()
      .then(this.#token)
      .then((token) => {
        if (!this.#isClosed) this.send({ type: 'auth', token })
      })
      .catch(failed)
  }

  #end(): void {
    this.#isClosed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#lifeTimer)
  }
}
