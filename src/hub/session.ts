import type { Clock } from '../core/clock.js'
import type { Identity } from '../core/identity.js'
import type { ScopeMessage } from '../protocol/client-messages.js'
import { decodeClientMessage } from '../protocol/codec.js'
import { type CloseName, type CodeName, mayClose, RuncastError } from '../protocol/codes.js'
import type { Follows } from '../storage/hub-calls.js'
import { buildFrame } from './frame.js'
import type { Policy } from './guards/policy.js'
import { ProtocolViolations } from './guards/protocol-violations.js'
import { SocketSlot } from './guards/socket-slot.js'
import type { Hub } from './hub.js'
import { Outbox } from './outbox.js'
import type { BuildScope, Scope } from './scopes/scope.js'
import { TelemetryPump } from './telemetry-pump.js'
import type { Transport } from './transport.js'

export interface SessionLimits {
  /** How long a client may take to authenticate. */
  readonly authTimeoutMs: number
  /** Interval of pings, and how long a client may stay silent before it is closed. */
  readonly pingIntervalMs: number
  readonly idleMs: number
  /** How long a client may take to answer before its slot may go to another socket of its user. */
  readonly answerMs: number
  /**
   * How long before its expiry a token is announced to expire, and how long after it the session waits for a renewal.
   */
  readonly expiryWarningMs: number
  readonly expiryGraceMs: number
  /** Protocol violations in one minute that end a session. */
  readonly maxViolationsPerMinute: number
  /** Messages beyond this number in one second are protocol violations. */
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

/** Reports refusals of one client, at once or with a delay. See `RepeatedRefusals`. */
export interface ClientRefusals {
  refuse(proof: string, report: () => void): () => void
  forget(proof: string): void
}

/** What a client authenticates with: a token, or a login of the server that the hub is mounted in. */
export interface Proof {
  /** The same for every connection with the same proof. */
  readonly key: string
  /** Rejects as `Policy.authenticate` does. */
  identify(): Promise<Identity>
}

export interface SessionOptions {
  readonly hub: Hub
  readonly policy: Policy
  readonly clock: Clock
  readonly limits: SessionLimits
  /** What the client follows. */
  readonly scope: BuildScope
  /** Proof that came with the connection. Without it, the first message must carry a token. */
  readonly proof?: Proof
  /** Called once, when the client has authenticated. */
  readonly onIdentified?: () => void
  /** Without it, every refusal is reported at once. */
  readonly refusals?: ClientRefusals
  /** What begins each path of this hub. Default: nothing. */
  readonly publicPath?: string
  /** Receives errors that no request caused, for the log. */
  readonly onFault: (error: unknown) => void
}

/** Codes caused by the client, not by the state of the hub. */
const OF_CLIENT: ReadonlySet<CodeName> = new Set(['unauthenticated', 'expired', 'forbidden', 'not_found', 'too_many_sockets'])

/**
 * One client's connection to the hub: connecting ──► authenticated ──► following its scope ──► closed. Its transport
 * calls `receive`, `touch` and `ended`.
 */
export class Session {
  readonly #transport: Transport
  readonly #options: SessionOptions
  readonly #outbox: Outbox
  readonly #scope: Scope
  readonly #telemetry: TelemetryPump
  readonly #violations: ProtocolViolations
  readonly #slot: SocketSlot
  #identity: Identity | undefined
  /** Authentication failed, and the session is about to be closed. */
  #isRefused = false
  #closed = false
  #cancelTimer: (() => void) | undefined
  #cancelPing: (() => void) | undefined

  constructor(transport: Transport, options: SessionOptions) {
    const { hub, policy, clock, limits, publicPath = '' } = options
    this.#transport = transport
    this.#options = options
    this.#violations = new ProtocolViolations(clock, limits)
    this.#slot = new SocketSlot({ policy, clock, transport, answerMs: limits.answerMs })
    const owner = {
      overflowed: () => {
        this.#scope.fallBehind()
        this.#telemetry.fallBehind()
      },
      drained: () => this.#run(this.#scope.resync()),
      stalled: () => this.#stalled(),
      cleared: () => this.#telemetry.resume(),
    }
    this.#outbox = new Outbox(transport, clock, hub.limits, owner, hub.tally)
    this.#telemetry = new TelemetryPump(this.#outbox, clock, (error) => this.#run(Promise.reject(error)))
    this.#scope = options.scope({
      hub,
      policy,
      outbox: this.#outbox,
      telemetry: this.#telemetry,
      publicPath,
      identity: () => this.#authenticated(),
      send: (message) => this.#send(message),
      close: (code, detail) => this.close(code, detail),
      run: (work) => this.#run(work),
    })
  }

  /** The authenticated user. */
  get identity(): Identity | undefined {
    return this.#identity
  }

  /** Bytes in this process that wait for this client. */
  get backlogBytes(): number {
    return this.#outbox.bytes + this.#transport.bufferedBytes
  }

  /** What the client follows now. */
  get follows(): Follows {
    return this.#scope.follows
  }

  start(): void {
    const { clock, limits, proof } = this.#options
    this.touch()
    this.#watchLife()
    this.#cancelTimer = clock.after(limits.authTimeoutMs, () => {
      // A proof that cannot be checked is not the fault of the client, so it may retry.
      if (proof) this.close('overloaded', 'The login could not be checked in time.')
      else this.close('unauthenticated', 'No token arrived in time.')
    })
    if (proof) this.#enter(proof)
  }

  /** Inbound messages: decode, then one switch. `null` is a frame that is not text. */
  receive(text: string | null): void {
    if (this.#closed || this.#isRefused) return
    this.touch()
    if (this.#violations.isTooFast()) return this.#violation(null, 'Too many messages in one second.')
    if (text === null) return this.#violation(null, 'Only text frames are accepted.')
    const message = decodeClientMessage(text, this.#scope.accepts)
    switch (message.type) {
      case 'violation':
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
    const comesBack = this.#closed ? null : this.#slot.touch()
    if (comesBack) this.#run(comesBack)
  }

  /** Asks the client to move to another node. A client that moves before the deadline loses nothing. */
  drain(reconnectInMs: number, deadlineMs: number): void {
    this.#slot.fix()
    this.#send({ type: 'drain', reconnect_in_ms: reconnectInMs, deadline_ms: deadlineMs })
  }

  /** The connection is gone. */
  ended(): void {
    if (this.#closed) return
    this.#closed = true
    this.#cancelTimer?.()
    this.#cancelPing?.()
    this.#outbox.close()
    this.#telemetry.close()
    this.#scope.release()
    this.#slot.close()
  }

  /** Ends the session after what was sent, with its reason. */
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

  /** A refused renewal ends the session at once. A client that was never authenticated may retry. */
  #enter(proof: Proof): void {
    this.#run(this.#authenticate(proof), this.#identity ? undefined : proof)
  }

  async #authenticate(proof: Proof): Promise<void> {
    const identity = await this.#identify(proof)
    if (!identity) return
    // Checked after the wait: if two tokens arrive at once, the second is a renewal.
    const renewal = this.#identity
    if (renewal && renewal.sub !== identity.sub)
      throw new RuncastError('forbidden', 'The new token belongs to another user than the session.')
    if (this.#closed) return
    this.#identity = identity
    if (!renewal) this.#options.onIdentified?.()
    this.#cancelTimer?.()
    this.#watchExpiry(identity)
    if (!renewal) await this.#slot.acquire(identity)
    if (this.#closed) return
    if (!this.#options.proof || renewal) {
      this.#send({ type: 'authenticated', expires_at: timeText(identity.expiresAt) })
    }
    if (renewal) return this.#scope.recheck()
    await this.#scope.open()
    if (!this.#closed) this.#options.refusals?.forget(proof.key)
  }

  /** Closes with a reason that the client caused; with a delay if the client was refused before. */
  #reject({ key }: Proof, code: CloseName, message: string): void {
    if (this.#closed || this.#isRefused) return
    const { refusals } = this.#options
    if (!refusals) return this.close(code, message)
    this.#isRefused = true
    this.#cancelTimer?.()
    this.#slot.close()
    this.#cancelTimer = refusals.refuse(key, () => this.close(code, message))
  }

  /** Null if the token of a renewal cannot be checked right now: the old one is still valid. */
  async #identify(proof: Proof): Promise<Identity | null> {
    try {
      return await proof.identify()
    } catch (error) {
      if (!this.#identity || !(error instanceof RuncastError) || error.code !== 'overloaded') throw error
      this.#refuse('auth', error.code, error.message)
      return null
    }
  }

  /**
   * Warns the client before its token expires, and closes the session if no renewal arrives within the grace period.
   */
  #watchExpiry({ expiresAt }: Identity): void {
    const { clock, limits } = this.#options
    const left = expiresAt - clock.now()
    this.#cancelTimer = clock.after(Math.max(0, left - limits.expiryWarningMs), () => {
      this.#send({ type: 'token_expiring', expires_at: timeText(expiresAt) })
      this.#cancelTimer = clock.after(Math.max(0, expiresAt + limits.expiryGraceMs - clock.now()), () => this.close('expired'))
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

  /** A client that only listens stays alive by its pongs. A connection that was cut silently is detected. */
  #watchLife(): void {
    const { clock, limits } = this.#options
    this.#cancelPing = clock.after(limits.pingIntervalMs, () => {
      if (this.#slot.sinceAnswerMs >= limits.idleMs) return this.close('idle')
      this.#slot.ping(this.#identity)
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

  /** An error in the background closes the session with its reason and never becomes an unhandled rejection. */
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

  /** The socket's buffer drains in bursts: a client that still answers is slow, not dead. */
  #stalled(): void {
    const { hub } = this.#options
    if (this.#slot.sinceAnswerMs < hub.limits.stallMs) return
    hub.tally.closes.add('stalled')
    this.ended()
    this.#transport.terminate()
  }
}

/** The last moment that RFC 3339 can express, whose years have four digits. */
const MAX_TIME_MS = Date.parse('9999-12-31T23:59:59.999Z')

function timeText(ms: number): string {
  return new Date(Math.min(ms, MAX_TIME_MS)).toISOString()
}
