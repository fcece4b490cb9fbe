import type { Clock } from '../core/clock.js'
import type { Frame } from './frame.js'
import type { HubTally } from './hub-tally.js'
import type { Transport } from './transport.js'

/**
 * Something to send. It is built when it is sent, since only then the client's position is known. Null: nothing to send
 * after all.
 */
export interface Outgoing {
  readonly bytes: number
  seal(): Frame | null
}

export interface OutboxLimits {
  /** Maximum bytes that wait for one client. */
  readonly maxOutboxBytes: number
  /** How long a client may read nothing before it counts as dead. */
  readonly stallMs: number
}

export interface OutboxOwner {
  /** The backlog exceeded its limit and was dropped. */
  overflowed(): void
  /** The client reads again after an overflow. */
  drained(): void
  /** The client has read nothing for too long. */
  stalled(): void
  /** The client reads again, and nothing waits for it any more. */
  cleared(): void
}

/** Bytes per write: enough to fill a socket, and few enough to notice soon that it is full. */
const CHUNK_BYTES = 64 * 1024
const MAX_REPLIES = 64

/**
 * hop 8: from subscription to transport. The bounded queue of one client. Everything enqueued in one turn of the event
 * loop leaves in one write. Persisted and transient events wait in one map in order of seq. While the client is slow, a
 * transient event replaces the waiting one with its key and moves to the end, so nothing overtakes a persisted event. A
 * backlog that exceeds its limit is dropped as a whole; a snapshot follows later.
 */
export class Outbox {
  readonly #transport: Transport
  readonly #clock: Clock
  readonly #limits: OutboxLimits
  readonly #owner: OutboxOwner
  readonly #tally: HubTally
  readonly #waiting = new Map<string | number, Outgoing>()
  readonly #replies = new Map<string | number, Frame>()
  #bytes = 0
  #counter = 0
  #scheduled = false
  #overflowed = false
  #closed = false
  #cancelStall: (() => void) | undefined

  /** `tally` counts what is left out. */
  constructor(transport: Transport, clock: Clock, limits: OutboxLimits, owner: OutboxOwner, tally: HubTally) {
    this.#tally = tally
    this.#transport = transport
    this.#clock = clock
    this.#limits = limits
    this.#owner = owner
    transport.onDrain = () => this.#drained()
  }

  /** Bytes that wait here, without those that the transport holds. */
  get bytes(): number {
    return this.#bytes
  }

  /** Whether the backlog was dropped and `drained` has not been called yet. Items enqueued now are lost. */
  get isOverflowed(): boolean {
    return this.#overflowed
  }

  /** Whether the client reads more slowly than the hub writes, or was disconnected. `cleared` is called after it. */
  get isBlocked(): boolean {
    return this.#overflowed || this.#closed || this.#transport.congested
  }

  /**
   * `conflationKey`: a waiting item with this key may be replaced by this one. After an overflow, items are dropped
   * silently until `drained` has been called.
   */
  enqueue(item: Outgoing, conflationKey?: string): void {
    if (this.#overflowed || this.#closed) return
    const conflate = conflationKey !== undefined && this.#transport.congested
    if (conflate && this.#remove(conflationKey)) this.#tally.conflated += 1
    this.#waiting.set(conflate ? conflationKey : this.#counter++, item)
    this.#bytes += item.bytes
    if (this.#bytes >= CHUNK_BYTES) this.flush()
    if (this.#bytes + this.#transport.bufferedBytes > this.#limits.maxOutboxBytes && this.#transport.congested) this.#overflow()
    else this.#schedule()
  }

  /**
   * Sends an answer to the client itself. Answers go first and are not dropped with a backlog. While the client is
   * slow, only the last answer per key waits, and at most `MAX_REPLIES` in total.
   */
  reply(frame: Frame, key?: string): void {
    if (this.#closed) return
    this.#replies.set(this.#transport.congested && key !== undefined ? key : this.#counter++, frame)
    if (this.#replies.size > MAX_REPLIES) for (const oldest of this.#replies.keys()) return void this.#replies.delete(oldest)
    this.#schedule()
  }

  /** Sends what the transport accepts now. */
  flush(): void {
    while (this.#waiting.size + this.#replies.size > 0 && !this.#transport.congested && !this.#closed) {
      const frames = [...this.#replies.values()]
      this.#replies.clear()
      let bytes = 0
      for (const [key, item] of this.#waiting) {
        this.#remove(key)
        const frame = item.seal()
        if (!frame) continue
        frames.push(frame)
        bytes += frame.payload.length
        if (bytes >= CHUNK_BYTES) break
      }
      if (frames.length > 0) this.#transport.send(frames)
    }
    if (this.#transport.congested) this.#watchStall()
  }

  close(): void {
    this.#closed = true
    this.#cancelStall?.()
    this.#waiting.clear()
    this.#replies.clear()
    this.#bytes = 0
  }

  #schedule(): void {
    if (this.#scheduled || this.#transport.congested) return
    this.#scheduled = true
    this.#clock.atTurnEnd(() => {
      this.#scheduled = false
      this.flush()
    })
  }

  /** Whether the item existed. */
  #remove(key: string | number): boolean {
    const item = this.#waiting.get(key)
    if (!item) return false
    this.#waiting.delete(key)
    this.#bytes -= item.bytes
    return true
  }

  #overflow(): void {
    this.#waiting.clear()
    this.#bytes = 0
    this.#overflowed = true
    this.#watchStall()
    this.#owner.overflowed()
  }

  #drained(): void {
    this.#cancelStall?.()
    this.#cancelStall = undefined
    if (this.#closed) return
    if (this.#overflowed) {
      this.#overflowed = false
      this.#tally.resyncs += 1
      this.#owner.drained()
    }
    this.flush()
    if (!this.isBlocked) this.#owner.cleared()
  }

  #watchStall(): void {
    if (this.#cancelStall || this.#closed) return
    const before = this.#transport.bufferedBytes
    this.#cancelStall = this.#clock.after(this.#limits.stallMs, () => {
      this.#cancelStall = undefined
      if (!this.#transport.congested) return
      if (this.#transport.bufferedBytes >= before) this.#owner.stalled()
      this.#watchStall()
    })
  }
}
