import type { Clock } from '../core/clock.js'
import type { Dialect } from '../core/dialect.js'
import type { Position } from '../core/entry.js'
import type { Frame } from '../hub/frame.js'
import type { Hub } from '../hub/hub.js'
import { Outbox } from '../hub/outbox.js'
import type { SubscriptionHandle } from '../hub/scopes/subscription-handle.js'
import type { Transport } from '../hub/transport.js'
import { type CloseName, RuncastError } from '../protocol/codes.js'
import { isFinal } from '../protocol/status.js'

export interface JobStreamOptions {
  readonly id: string
  /** A job of another kind that has taken the id since is not this one. */
  readonly kind: string
  readonly dialect: Dialect
  /** Where the reader left off. */
  readonly after?: Position
}

/**
 * A job's messages for a reader in this process, as a session's for a client: snapshot, replay, live, until the final one. What is not read waits in an
 * outbox, so a reader that does not read costs bounded memory: it gets the newest progress only, or, past the limit, a snapshot with `resync`.
 */
export class JobStream {
  readonly #hub: Hub
  readonly #options: JobStreamOptions
  readonly #inbox = new Inbox()
  readonly #outbox: Outbox
  #handle: SubscriptionHandle | undefined

  constructor(hub: Hub, clock: Clock, options: JobStreamOptions) {
    this.#hub = hub
    this.#options = options
    const owner = {
      overflowed: () => this.#handle?.subscription.fallBehind(),
      drained: () => void this.#resync().catch((error: unknown) => this.close(error)),
      stalled: () => {}, // a reader may take its time: it costs no more than it does now
    }
    this.#outbox = new Outbox(this.#inbox, clock, hub.limits, owner, hub.tally)
  }

  /** Begins. Rejects with `not_found`, or `overloaded` where Redis cannot be reached. */
  async open(): Promise<void> {
    const hold = await this.#hub.subscribe({
      ...this.#options,
      outbox: this.#outbox,
      mayView: ({ kind }) => kind.name === this.#options.kind,
      lost: () => this.close(new RuncastError('not_found')),
      ended: (seq) => this.#endAt(seq),
    })
    if (!hold) throw new RuncastError('not_found')
    this.#handle = hold
    if (this.#inbox.isEnded) this.close()
    else this.#begin(hold, false)
  }

  /** The next message; null after the final one. Rejects with the reason of an early end. One call at a time. */
  next(): Promise<unknown> {
    return this.#inbox.next()
  }

  /** Ends it now; with an error for a reader who waits. */
  close(error?: unknown): void {
    this.#outbox.close()
    this.#handle?.release()
    this.#handle = undefined
    this.#inbox.end(error)
  }

  #begin(hold: SubscriptionHandle, resync: boolean): void {
    hold.start('snapshot', resync)
    // Also where the reader had the final message before: then nothing follows the snapshot.
    const { seq } = hold.state ?? {}
    const seal = () => {
      if (seq !== undefined) this.#endAt(seq)
      return null
    }
    this.#outbox.enqueue({ bytes: 0, seal })
  }

  async #resync(): Promise<void> {
    await this.#handle?.prepare()
    if (this.#handle?.subscription.isLagging) this.#begin(this.#handle, true)
  }

  /** A replay may hold the final message of an earlier round: only that of the state now is the end. In a later turn, since it is only just leaving. */
  #endAt(seq: number): void {
    const state = this.#handle?.state
    if (state?.seq === seq && isFinal(state.status)) queueMicrotask(() => this.close())
  }
}

/** A transport whose peer is a reader in this process: full as long as anything is unread. */
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

  /** What was sent can still be read, unless there is an error. */
  end(error?: unknown): void {
    if (this.#end) return
    this.#end = error === undefined ? {} : { error }
    if (error !== undefined) this.#frames = []
    this.#wake()
  }

  async next(): Promise<unknown> {
    for (;;) {
      const frame = this.#frames.shift()
      if (frame) {
        if (this.#frames.length === 0) this.onDrain()
        return JSON.parse(frame.payload.toString())
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
