import type { Clock } from '../core/clock.js'
import type { Identity } from '../core/identity.js'
import type { ScopeMessage } from '../protocol/client-messages.js'
import { decodeClientMessage } from '../protocol/codec.js'
import { type CloseName, type CodeName, mayClose, RuncastError } from '../protocol/codes.js'
import { buildFrame } from './frame.js'
import { Place } from './guards/place.js'
import type { Policy } from './guards/policy.js'
import { ProtocolViolations } from './guards/protocol-violations.js'
import type { Hub } from './hub.js'
import { Outbox } from './outbox.js'
import type { BuildScope, Scope } from './scopes/scope.js'
import type { Transport } from './transport.js'

export interface SessionLimits {
  /** How long a client may take to authenticate. */
  readonly authTimeoutMs: number
  /** How often a client is asked for a sign of life, and how long it may give none. */
  readonly pingIntervalMs: number
  readonly idleMs: number
  /** How long a client may take to answer before its place may go to another socket of its user. */
  readonly answerMs: number
  /** How long before its end a token is said to run out, and how long after it the session lives on, for a renewal to come. */
  readonly expiryWarningMs: number
  readonly expiryGraceMs: number
  /** Breaches of the protocol in one minute that end a session. */
  readonly maxViolationsPerMinute: number
  /** More messages in one second are breaches. */
  readonly maxMessagesPerSecond: number
}

export const DEFAULT_SESSION_LIMITS: SessionLimits = {
  authTimeoutMs: 5000,
  pingIntervalMs: 15_000,
  idleMs: 90_000,
  answerMs: 3000,
  expiryWarningMs: 30_000,
  expiryGraceMs: 25_000,
  maxViolationsPerMinute: 16,
  maxMessagesPerSecond: 50,
}

/** Where refusals of one client are told, at once or later; see `RepeatedRefusals`. */
export interface ClientRefusals {
  refuse(proof: string, tell: () => void): () => void
  forget(proof: string): void
}

/** What a client proves itself with: a token, or a login of the server that the hub is mounted in. */
export interface Proof {
  /** The same for every connection that brings the same proof. */
  readonly key: string
  /** Rejects as `Policy.authenticate`. */
  identify(): Promise<Identity>
}

export interface SessionOptions {
  readonly hub: Hub
  readonly policy: Policy
  readonly clock: Clock
  readonly limits: SessionLimits
  /** What the client follows. */
  readonly scope: BuildScope
  /** What the connection came with; without it the first message has to bring a token. */
  readonly proof?: Proof
  /** The client has proved who it is; called once. */
  readonly onIdentified?: () => void
  /** Without it every refusal is told at once. */
  readonly refusals?: ClientRefusals
  /** Faults that are nobody's request: for the log. */
  readonly onFault: (error: unknown) => void
}

/** Reasons that are the client's own, and not a state of the hub. */
const OF_CLIENT: ReadonlySet<CodeName> = new Set(['unauthenticated', 'expired', 'forbidden', 'not_found', 'too_many_sockets'])

/** One client's life on the hub: connecting ──► authenticated ──► following its scope ──► closed. Its transport calls `receive`, `heard` and `ended`. */
export class Session {
  readonly #transport: Transport
  readonly #options: SessionOptions
  readonly #outbox: Outbox
  readonly #scope: Scope
  readonly #violations: ProtocolViolations
  readonly #place: Place
  #identity: Identity | undefined
  /** It was not let in, and is to be closed. */
  #isRefused = false
  #closed = false
  #callOffTimer: (() => void) | undefined
  #callOffPing: (() => void) | undefined

  constructor(transport: Transport, options: SessionOptions) {
    const { hub, policy, clock, limits } = options
    this.#transport = transport
    this.#options = options
    this.#violations = new ProtocolViolations(clock, limits)
    this.#place = new Place({ policy, clock, transport, answerMs: limits.answerMs })
    const owner = {
      overflowed: () => this.#scope.fallBehind(),
      drained: () => this.#run(this.#scope.resync()),
      stalled: () => this.#stalled(),
    }
    this.#outbox = new Outbox(transport, clock, hub.limits, owner, hub.tally)
    this.#scope = options.scope({
      hub,
      policy,
      outbox: this.#outbox,
      identity: () => this.#authenticated(),
      send: (message) => this.#send(message),
      close: (code, detail) => this.close(code, detail),
      run: (work) => this.#run(work),
    })
  }

  /** Whom the client has proved to speak for. */
  get identity(): Identity | undefined {
    return this.#identity
  }

  /** Bytes that wait for this client in this process. */
  get backlogBytes(): number {
    return this.#outbox.bytes + this.#transport.bufferedBytes
  }

  start(): void {
    const { clock, limits, proof } = this.#options
    this.touch()
    this.#watchLife()
    this.#callOffTimer = clock.after(limits.authTimeoutMs, () => this.close('unauthenticated', 'No token came in time.'))
    if (proof) this.#enter(proof)
  }

  /** The way back: decode, then one switch. `null` is a frame that is no text. */
  receive(text: string | null): void {
    if (this.#closed || this.#isRefused) return
    this.touch()
    if (this.#violations.isTooFast()) return this.#violation(null, 'Too many messages in one second.')
    if (text === null) return this.#violation(null, 'Only text frames are read.')
    const message = decodeClientMessage(text, this.#scope.accepts)
    switch (message.type) {
      case 'breach':
        return this.#violation(message.request, message.reason)
      case 'ping':
        return this.#send({ type: 'pong' })
      case 'auth':
        return this.#enter({ key: message.token, identify: () => this.#options.policy.authenticate(message.token) })
      default:
        return this.#run(this.#ask(message))
    }
  }

  /** The client has given a sign of life. */
  touch(): void {
    const comesBack = this.#closed ? null : this.#place.touch()
    if (comesBack) this.#run(comesBack)
  }

  /** Tells the client to move to another node; whoever does so until the deadline loses nothing. */
  drain(reconnectInMs: number, deadlineMs: number): void {
    this.#place.fix()
    this.#send({ type: 'drain', reconnect_in_ms: reconnectInMs, deadline_ms: deadlineMs })
  }

  /** The connection is gone. */
  ended(): void {
    if (this.#closed) return
    this.#closed = true
    this.#callOffTimer?.()
    this.#callOffPing?.()
    this.#outbox.close()
    this.#scope.release()
    this.#place.close()
  }

  /** Ends the session in order, with its reason. */
  close(code: CloseName, detail?: string): void {
    if (this.#closed) return
    this.#options.hub.tally.closes.add(code)
    this.#outbox.flush()
    this.ended()
    this.#transport.close(code, detail)
  }

  #authenticated(): Identity {
    if (!this.#identity) throw new RuncastError('unauthenticated', 'Send auth first.')
    return this.#identity
  }

  /** A renewal that is refused ends the session at once; a client that was never let in may come again and again. */
  #enter(proof: Proof): void {
    this.#run(this.#authenticate(proof), this.#identity ? undefined : proof)
  }

  async #authenticate(proof: Proof): Promise<void> {
    const identity = await this.#identify(proof)
    if (!identity) return
    // Looked at after the wait: of two that come at once, the second renews.
    const renewal = this.#identity
    if (renewal && renewal.sub !== identity.sub) throw new RuncastError('forbidden', 'A session stays with the user who opened it.')
    if (this.#closed) return
    this.#identity = identity
    if (!renewal) this.#options.onIdentified?.()
    this.#callOffTimer?.()
    this.#watchExpiry(identity)
    if (!renewal) await this.#place.take(identity)
    if (this.#closed) return
    if (!this.#options.proof || renewal) {
      this.#send({ type: 'authenticated', expires_at: new Date(identity.expiresAt).toISOString() })
    }
    if (renewal) return this.#scope.recheck()
    await this.#scope.open()
    if (!this.#closed) this.#options.refusals?.forget(proof.key)
  }

  /** Closes with a reason that is the client's own, later where it has been refused before. */
  #reject({ key }: Proof, code: CloseName, message: string): void {
    if (this.#closed || this.#isRefused) return
    const { refusals } = this.#options
    if (!refusals) return this.close(code, message)
    this.#isRefused = true
    this.#callOffTimer?.()
    this.#place.close()
    this.#callOffTimer = refusals.refuse(key, () => this.close(code, message))
  }

  /** Null where the token of a renewal cannot be looked at right now: the old one is still good. */
  async #identify(proof: Proof): Promise<Identity | null> {
    try {
      return await proof.identify()
    } catch (error) {
      if (!this.#identity || !(error instanceof RuncastError) || error.code !== 'overloaded') throw error
      this.#refuse('auth', error.code, error.message)
      return null
    }
  }

  /** Warned, a client renews; one that has not done so when the grace is over is not served any more. */
  #watchExpiry({ expiresAt }: Identity): void {
    const { clock, limits } = this.#options
    const left = expiresAt - clock.now()
    this.#callOffTimer = clock.after(Math.max(0, left - limits.expiryWarningMs), () => {
      this.#send({ type: 'token_expiring', expires_at: new Date(expiresAt).toISOString() })
      this.#callOffTimer = clock.after(Math.max(0, expiresAt + limits.expiryGraceMs - clock.now()), () => this.close('expired'))
    })
  }

  async #ask(message: ScopeMessage): Promise<void> {
    try {
      this.#authenticated()
      await this.#scope.receive(message)
    } catch (error) {
      if (!(error instanceof RuncastError)) throw error
      const { process_id } = message as { process_id?: string } // of those messages that name one
      this.#refuse(message.type, error.code, error.message, process_id)
    }
  }

  /** A client that only listens lives by its pongs; one whose line was cut without a word is found. */
  #watchLife(): void {
    const { clock, limits } = this.#options
    this.#callOffPing = clock.after(limits.pingIntervalMs, () => {
      if (this.#place.sinceAnswerMs >= limits.idleMs) return this.close('idle')
      this.#place.ask(this.#identity)
      this.#watchLife()
    })
  }

  #violation(request: string | null, reason: string): void {
    if (this.#violations.isOverLimit()) return this.close('rate_limited')
    this.#refuse(request, 'invalid', reason)
  }

  #refuse(request: string | null, code: CodeName, message: string, processId?: string): void {
    this.#options.hub.tally.refusals.add(code)
    this.#send({ type: 'refused', request, ...(processId !== undefined && { process_id: processId }), code, message })
  }

  #send(message: Readonly<Record<string, unknown>>): void {
    this.#outbox.reply(buildFrame(message), message.type === 'pong' ? 'pong' : undefined)
  }

  /** What a session does in the background ends in a close with its reason, never in an unhandled rejection. */
  #run(work: Promise<void>, newProof?: Proof): void {
    work.catch((error: unknown) => {
      if (error instanceof RuncastError && mayClose(error.code)) {
        const { code, message } = error
        return newProof && OF_CLIENT.has(code) ? this.#reject(newProof, code, message) : this.close(code, message)
      }
      this.#options.onFault(error)
      this.close('internal')
    })
  }

  /** The socket's buffer empties in leaps: as long as the client speaks, it is slow and not dead. */
  #stalled(): void {
    const { hub } = this.#options
    if (this.#place.sinceAnswerMs < hub.limits.stallMs) return
    hub.tally.closes.add('stalled')
    this.ended()
    this.#transport.terminate()
  }
}
