import { decodeClientMessage } from '../protocol/codec.js'
import { type CloseName, type CodeName, mayClose, Refusal } from '../protocol/codes.js'
import { type Dialect, runDialect } from '../protocol/dialect.js'
import type { Position } from '../protocol/entry.js'
import { isJobId } from '../protocol/job-id.js'
import type { Clock } from './clock.js'
import { buildFrame } from './frame.js'
import type { Held, Hub } from './hub.js'
import { Outbox } from './outbox.js'
import type { Identity, Policy } from './policy.js'
import type { Transport } from './transport.js'

export interface SessionLimits {
  /** How long a client may take to authenticate. */
  readonly authTimeoutMs: number
  /** How often a client is asked for a sign of life, and how long it may give none. */
  readonly pingIntervalMs: number
  readonly idleMs: number
  /** Breaches of the protocol in one minute that end a session. */
  readonly maxBreachesPerMinute: number
  /** More messages in one second are breaches. */
  readonly maxMessagesPerSecond: number
}

export const DEFAULT_SESSION_LIMITS: SessionLimits = {
  authTimeoutMs: 5000,
  pingIntervalMs: 30_000,
  idleMs: 90_000,
  maxBreachesPerMinute: 16,
  maxMessagesPerSecond: 50,
}

export interface SessionOptions {
  readonly hub: Hub
  readonly policy: Policy
  readonly clock: Clock
  readonly limits: SessionLimits
  /** The field that names the job in this session's dialect. */
  readonly idField: string
  readonly jobId: string
  readonly after?: Position
  /** From query, header or cookie; without it the first message has to bring one. */
  readonly token?: string
  /** Faults that are nobody's request: for the log. */
  readonly onFault: (error: unknown) => void
}

const MINUTE_MS = 60_000

/** One client's life on the hub: connecting ──► authenticated ──► following its job ──► closed. Its transport calls `receive` and `ended`. */
export class Session {
  readonly #transport: Transport
  readonly #options: SessionOptions
  readonly #dialect: Dialect = runDialect
  readonly #outbox: Outbox
  #identity: Identity | undefined
  #held: Held | undefined
  #closed = false
  #breaches: number[] = []
  #callOffTimer: (() => void) | undefined
  #callOffPing: (() => void) | undefined
  #heardAt = 0
  #cancelling: Promise<void> | undefined
  /** Messages since the beginning of this second. */
  #second = { from: 0, count: 0 }

  constructor(transport: Transport, options: SessionOptions) {
    this.#transport = transport
    this.#options = options
    this.#outbox = new Outbox(transport, options.clock, options.hub.limits, {
      overflowed: () => this.#held?.fallBehind(),
      drained: () => this.#resync(),
      stalled: () => this.#stalled(),
    })
  }

  /** Bytes that wait for this client in this process. */
  get backlogBytes(): number {
    return this.#outbox.bytes + this.#transport.bufferedBytes
  }

  start(): void {
    const { clock, limits, token, jobId } = this.#options
    if (!isJobId(jobId)) return this.close('not_found')
    this.heard()
    this.#watchLife()
    this.#callOffTimer = clock.after(limits.authTimeoutMs, () => this.close('unauthenticated', 'No token came in time.'))
    if (token !== undefined) this.#run(this.#authenticate(token))
  }

  /** The way back: decode, then one switch. `null` is a frame that is no text. */
  receive(text: string | null): void {
    if (this.#closed) return
    this.heard()
    if (this.#isTooFast()) return this.#breach(null, 'Too many messages in one second.')
    if (text === null) return this.#breach(null, 'Only text frames are read.')
    const message = decodeClientMessage(text)
    switch (message.type) {
      case 'breach':
        return this.#breach(message.request, message.reason)
      case 'ping':
        return this.#say({ type: 'pong' })
      case 'auth':
        return this.#run(this.#authenticate(message.token))
      case 'cancel':
        this.#cancelling ??= this.#cancel().finally(() => {
          this.#cancelling = undefined
        })
        return this.#run(this.#cancelling)
      default:
        return assertNever(message)
    }
  }

  /** The client has given a sign of life. */
  heard(): void {
    this.#heardAt = this.#options.clock.now()
  }

  /** The connection is gone. */
  ended(): void {
    if (this.#closed) return
    this.#closed = true
    this.#callOffTimer?.()
    this.#callOffPing?.()
    this.#outbox.close()
    this.#held?.release()
  }

  async #authenticate(token: string): Promise<void> {
    const identity = await this.#options.policy.authenticate(token)
    // Looked at after the wait: of two that come at once, the second renews.
    const renewal = this.#identity
    if (renewal && renewal.sub !== identity.sub) throw new Refusal('forbidden', 'A session stays with the user who opened it.')
    if (this.#closed) return
    this.#identity = identity
    this.#callOffTimer?.()
    this.#callOffTimer = this.#options.clock.after(identity.expiresAt - this.#options.clock.now(), () => this.close('expired'))
    if (this.#options.token === undefined || renewal) {
      this.#say({ type: 'authenticated', expires_at: new Date(identity.expiresAt).toISOString() })
    }
    if (renewal) this.#held?.recheck()
    else await this.#follow(identity)
  }

  async #follow(identity: Identity): Promise<void> {
    const { hub, policy, jobId, after } = this.#options
    const isThere = await hub.open({
      id: jobId,
      dialect: this.#dialect,
      outbox: this.#outbox,
      ...(after && { after }),
      mayView: (state) => policy.mayView(this.#identity ?? identity, state.owner),
      opened: (held) => {
        if (this.#closed) held.release()
        else this.#held = held
      },
      lost: () => this.close('not_found'),
    })
    if (!isThere) this.close('not_found')
  }

  async #cancel(): Promise<void> {
    const { policy, jobId, idField } = this.#options
    try {
      if (!this.#identity) throw new Refusal('unauthenticated', 'Send auth first.')
      const status = await policy.cancel(this.#identity, jobId)
      this.#say({ type: 'cancel_accepted', [idField]: jobId, status })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#refuse('cancel', error.code, error.message)
    }
  }

  /** A client that only listens lives by its pongs; one whose line was cut without a word is found. */
  #watchLife(): void {
    const { clock, limits } = this.#options
    this.#callOffPing = clock.after(limits.pingIntervalMs, () => {
      if (clock.now() - this.#heardAt >= limits.idleMs) return this.close('idle')
      this.#transport.ping()
      this.#watchLife()
    })
  }

  #isTooFast(): boolean {
    const now = this.#options.clock.now()
    if (now - this.#second.from >= 1000) this.#second = { from: now, count: 0 }
    this.#second.count += 1
    return this.#second.count > this.#options.limits.maxMessagesPerSecond
  }

  #breach(request: string | null, reason: string): void {
    const { clock, limits } = this.#options
    const now = clock.now()
    this.#breaches = [...this.#breaches.filter((at) => at > now - MINUTE_MS), now]
    if (this.#breaches.length >= limits.maxBreachesPerMinute) return this.close('rate_limited')
    this.#refuse(request, 'invalid', reason)
  }

  #refuse(request: string | null, code: CodeName, message: string): void {
    this.#say({ type: 'refused', request, code, message })
  }

  #say(message: Record<string, unknown>): void {
    this.#outbox.reply(buildFrame(message), message.type === 'pong' ? 'pong' : undefined)
  }

  #resync(): void {
    if (this.#held) this.#run(this.#held.resync())
  }

  /** What a session does in the background ends in a close with its reason, never in an unhandled rejection. */
  #run(work: Promise<void>): void {
    work.catch((error: unknown) => {
      if (error instanceof Refusal && mayClose(error.code)) return this.close(error.code, error.message)
      this.#options.onFault(error)
      this.close('internal')
    })
  }

  /** Ends the session in order, with its reason. */
  close(code: CloseName, detail?: string): void {
    if (this.#closed) return
    this.#outbox.flush()
    this.ended()
    this.#transport.close(code, detail)
  }

  /** The socket's buffer empties in leaps: as long as the client speaks, it is slow and not dead. */
  #stalled(): void {
    const { clock, hub } = this.#options
    if (clock.now() - this.#heardAt < hub.limits.stallMs) return
    this.ended()
    this.#transport.terminate()
  }
}

function assertNever(message: never): never {
  throw new TypeError(`no reaction to ${JSON.stringify(message)}`)
}
