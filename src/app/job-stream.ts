import type { Received } from '../client/hub-socket.js'
import type { Clock } from '../core/clock.js'
import type { Dialect } from '../core/dialect.js'
import type { Position } from '../core/entry.js'
import type { Frame } from '../hub/frame.js'
import type { Hub } from '../hub/hub.js'
import { Outbox } from '../hub/outbox.js'
import type { SubscriptionHandle, TelemetryOptions } from '../hub/scopes/subscription-handle.js'
import { TelemetryPump } from '../hub/telemetry-pump.js'
import type { Transport } from '../hub/transport.js'
import { type CloseName, RuncastError } from '../protocol/codes.js'
import { isFinal } from '../protocol/status.js'

export interface JobStreamOptions {
  readonly id: string
  /** A job of another kind with this id is a different job. */
  readonly kind: string
  readonly dialect: Dialect
  /** The position to resume from. */
  readonly after?: Position
  /** What is wanted beside entries. */
  readonly telemetry?: TelemetryOptions
}

/**
 * The messages of one job for a reader in this process, as a session sends them to a client: snapshot, replay, live, up
 * to the final one, and with telemetry up to the last line, curve and artifact. Unread messages wait in an outbox, so a
 * slow reader costs bounded memory: it gets only the newest progress or, past the limit, a snapshot with `resync`.
 */
export class JobStream {
  readonly #hub: Hub
  readonly #options: JobStreamOptions
  readonly #inbox = new Inbox()
  readonly #outbox: Outbox
  readonly #pump: TelemetryPump
  #handle: SubscriptionHandle | undefined

  constructor(hub: Hub, clock: Clock, options: JobStreamOptions) {
    this.#hub = hub
    this.#options = options
    const owner = {
      overflowed: () => {
        this.#handle?.subscription.fallBehind()
        this.#pump.fallBehind()
      },
      drained: () => void this.#resync().catch((error: unknown) => this.close(error)),
      stalled: () => {}, // a slow reader costs no more memory
      cleared: () => this.#pump.resume(),
    }
    this.#outbox = new Outbox(this.#inbox, clock, hub.limits, owner, hub.tally)
    this.#pump = new TelemetryPump(this.#outbox, clock, (error) => this.close(error))
  }

  /** Starts the stream. Rejects with `not_found`, or with `overloaded` if Redis cannot be reached. */
  async open(): Promise<void> {
    const { telemetry, ...options } = this.#options
    const handle = await this.#hub.subscribe({
      ...options,
      outbox: this.#outbox,
      ...(telemetry && { telemetry: { ...telemetry, pump: this.#pump, publicPath: '' } }),
      mayView: ({ kind }) => kind.name === this.#options.kind,
      lost: () => this.close(new RuncastError('not_found')),
      ended: (seq) => this.#endAt(seq),
    })
    if (!handle) throw new RuncastError('not_found')
    this.#handle = handle
    if (this.#inbox.isEnded) this.close()
    else this.#start(handle, false)
  }

  /** The next message; null after the final one. Rejects with the reason of an early end. Only one call at a time. */
  next(): Promise<Received | null> {
    return this.#inbox.next()
  }

  /** Ends the stream at once. A waiting reader gets the error, if any. */
  close(error?: unknown): void {
    this.#inbox.end(error)
    this.#outbox.close()
    this.#handle?.release()
    this.#handle = undefined
    this.#pump.close()
  }

  #start(handle: SubscriptionHandle, resync: boolean): void {
    handle.start('snapshot', resync)
    // Needed if the reader already had the final message: nothing follows the snapshot then.
    const { seq } = handle.state ?? {}
    const seal = () => {
      if (seq !== undefined) this.#endAt(seq)
      return null
    }
    this.#outbox.enqueue({ bytes: 0, seal })
  }

  async #resync(): Promise<void> {
    await this.#handle?.prepare()
    if (this.#handle?.subscription.isLagging) this.#start(this.#handle, true)
  }

  /**
   * A replay may contain the final message of an earlier execution; only the one of the current state ends the stream.
   * Closes in a later turn, since the message is just being sent.
   */
  #endAt(seq: number): void {
    const state = this.#handle?.state
    if (state?.seq === seq && isFinal(state.status)) queueMicrotask(() => this.#finish())
  }

  /** What the job has reported beside entries is still sent. */
  #finish(): void {
    const { telemetry = {} } = this.#options
    if (Object.keys(telemetry).length === 0) return this.close()
    this.#pump.onEmpty = () => queueMicrotask(() => this.close())
    this.#handle?.finish()
  }
}

/** A transport to a reader in this process. It is congested while anything is unread. */
class Inbox implements Transport {
  #frames: Frame[] = []
  #end: { readonly error?: unknown } | undefined
  #wake: () => void = () => {}
  onDrain: () => void = () => {}

  get isEnded(): boolean {
    return this.#end !== undefined
  }

  get congested(): boolean {
    return this.#frames.length > 0
  }

  get bufferedBytes(): number {
    return this.#frames.reduce((sum, { payload }) => sum + payload.length, 0)
  }

  send(frames: readonly Frame[]): void {
    if (this.#end) return
    this.#frames.push(...frames)
    this.#wake()
  }

  /** Sent messages can still be read, unless there is an error. */
  end(error?: unknown): void {
    if (this.#end) return
    this.#end = error === undefined ? {} : { error }
    if (error !== undefined) this.#frames = []
    this.#wake()
  }

  async next(): Promise<Received | null> {
    for (;;) {
      const frame = this.#frames.shift()
      if (frame) {
        if (this.#frames.length === 0) this.onDrain()
        return JSON.parse(frame.payload.toString()) as Received // every message has a type
      }
      if (this.#end && 'error' in this.#end) throw this.#end.error
      if (this.#end) return null
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  close(code: CloseName, detail?: string): void {
    this.end(new RuncastError(code, detail))
  }

  terminate(): void {
    this.end()
  }

  ping(): void {}
}
