import { CODES } from '../protocol/codes.js'
import { Line, type LineOptions, type Received } from './line.js'

export interface ConnectionOptions extends LineOptions {
  /** Asked for at each connect and when the hub warns that the last one runs out. Goes in a message, never in the URL. */
  readonly token: () => string | Promise<string>
  /** The watch has ended and will not connect again: by `close()`, or for a reason that reconnecting cannot mend. */
  readonly onEnd?: (reason: EndReason) => void
  /** First and longest delay between connects, in ms. Doubled each time, with jitter. */
  readonly backoffMs?: { readonly first: number; readonly longest: number }
}

export interface EndReason {
  readonly code: number
  readonly reason: string
}

/** What is said over a connection, and from where the next one goes on. */
export interface Dialogue {
  /** Query of the next connect, `?` included; empty for none. */
  query(): string
  /** Whether a message is the first one that a connection brings of what is watched. */
  isOpening(message: Received): boolean
  receive(message: Received): void
}

const DEFAULT_BACKOFF_MS = { first: 250, longest: 15_000 }

const FATAL = new Set<number>(
  Object.values(CODES)
    .filter((code) => !code.reconnect)
    .flatMap((code) => code.close ?? []),
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
  readonly #waiting = new Set<() => void>()
  /** The line whose messages count. */
  #line: Line | undefined
  #isGood = false
  /** Takes over with its opening; until then what comes over the first one is used as usual. */
  #successor: Line | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #tries = 0
  #end: EndReason | undefined

  constructor(options: ConnectionOptions, dialogue: Dialogue) {
    this.#options = options
    this.#dialogue = dialogue
  }

  start(): void {
    if (!this.#line && !this.#end) this.#connect()
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
  reconnect(): void {
    this.#line?.close()
    this.#connect()
  }

  close(reason: EndReason = { code: 1000, reason: 'closed by this side' }): void {
    if (this.#end) return
    this.#end = reason
    clearTimeout(this.#timer)
    this.#line?.close()
    this.#successor?.close()
    this.#line = undefined
    this.#successor = undefined
    this.#isGood = false
    this.#options.onEnd?.(reason)
    this.changed()
  }

  /** Resolves with the first answer that is not null; asks again after each `changed`. Rejects when the watch ends before. */
  async when<T>(answer: () => T | null): Promise<T> {
    for (;;) {
      const found = answer()
      if (found !== null) return found
      if (this.#end) throw new Error(`the watch has ended: ${this.#end.code} ${this.#end.reason}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  changed(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }

  #connect(): void {
    clearTimeout(this.#timer)
    this.#successor?.close()
    this.#successor = undefined
    this.#isGood = false
    this.#line = this.#open()
  }

  #open(): Line {
    const { url, token, WebSocket } = this.#options
    return new Line(
      { url: `${url}${this.#dialogue.query()}`, token, WebSocket },
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
      this.#isGood = true
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
    // A token that ran out on a connection that was good: the next connect asks for a new one.
    const hasExpired = code === CODES.expired.close && this.#isGood
    this.#isGood = false
    this.#line = undefined
    if (FATAL.has(code) && !hasExpired) return this.close({ code, reason })
    this.#line = this.#successor
    this.#successor = undefined
    if (!this.#line) this.#timer = setTimeout(() => this.#connect(), this.#nextDelayMs())
  }

  #nextDelayMs(): number {
    const { first, longest } = this.#options.backoffMs ?? DEFAULT_BACKOFF_MS
    const delay = Math.min(first * 2 ** this.#tries, longest) * (0.5 + Math.random() / 2)
    this.#tries += 1
    return delay
  }
}
