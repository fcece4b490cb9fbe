import type { Clock } from '../core/clock.js'
import { isOverloaded } from '../protocol/codes.js'

/** A position in a counted stream. `seq` rises by 1 with each item. Another generation has its own count. */
export interface Counted {
  readonly generation: string
  readonly seq: number
}

/** `T`: an item of the stream. `A`: the result of a read. */
export interface GapRecoveryPorts<T extends Counted, A> {
  readonly clock: Clock
  /** How long the stream may be silent before it is read again: its last item may have been lost. */
  readonly quietMs: number
  /** The last known position. Null before the first read, and after the stream has ceased to exist. */
  position(): Counted | null
  /** Receives the item that follows the position, and moves the position to that item. */
  deliver(item: T): void
  /** A held-back item that the read has returned as well. */
  covered?(item: T): void
  /**
   * Reads what may have been missed, and applies it together with its position. Rejects with `overloaded` if the store
   * cannot be reached.
   */
  read(): Promise<A>
  /** `recover` could not reach the store and will retry. */
  onUnreachable?(): void
  /** `recover` met an error that is not an outage of the store. */
  readonly onFault: (error: unknown) => void
}

const RETRY_MS = 500
const MAX_HELD = 1000

/**
 * Keeps a reader of a counted stream complete, although its channel may lose, repeat and reorder items. This works
 * because the result of a read holds everything that was written before the read began.
 *
 *                 next item: deliver; known item: drop
 *                     ┌───┐
 *                     │   ▼     a gap: an item ahead, a lost connection, silence
 *    unread ───────► in step ──────────────────────────────────────────────────► reading
 *   (hold back)         ▲                                                      (hold back)
 *                       └──── the read ends: replay what was held back ──────────────┘
 *                             if the store was unreachable: read again after RETRY_MS
 *
 * A gap that appears during a read, or in the replay, causes one more read: the current one may have started too early.
 */
export class GapRecovery<T extends Counted, A> {
  readonly #ports: GapRecoveryPorts<T, A>
  #held: T[] = []
  #reading: Promise<A> | undefined
  /** The read that follows the current one. */
  #next: Promise<A> | undefined
  #recovering: Promise<void> | undefined
  #hasGap = false
  #cancelQuiet: (() => void) | undefined
  #endPause: (() => void) | undefined
  #closed = false

  constructor(ports: GapRecoveryPorts<T, A>) {
    this.#ports = ports
  }

  /** An item of the channel. */
  receive(item: T): void {
    if (!this.#closed) this.#take(item)
  }

  /**
   * Reads once. A call during a read waits for it and reads after it; such calls share one read. Call it for the first
   * read of a stream, after its channel was subscribed to. Rejects as `read` does.
   */
  refresh(): Promise<A> {
    if (this.#next) return this.#next
    if (!this.#reading) return this.#read()
    this.#next = this.#reading
      .catch(() => {})
      .then(() => {
        this.#next = undefined
        return this.#reading ?? this.#read()
      })
    return this.#next
  }

  /**
   * Call this when something may have been missed. Reads until the store answers, then resolves. Also resolves after
   * any other error; the next gap or silence causes another read.
   */
  recover(): Promise<void> {
    if (this.#closed || !this.#ports.position()) return Promise.resolve()
    this.#hasGap = true
    this.#recovering ??= this.#recover()
    return this.#recovering
  }

  close(): void {
    this.#closed = true
    this.#held = []
    this.#cancelQuiet?.()
    this.#endPause?.()
  }

  #read(): Promise<A> {
    this.#reading = this.#ports.read().finally(() => {
      this.#reading = undefined
      this.#replay()
      this.#watchQuiet()
    })
    return this.#reading
  }

  async #recover(): Promise<void> {
    while (this.#hasGap && !this.#closed && this.#ports.position()) {
      // An item missed from here on may not be in the result.
      this.#hasGap = false
      try {
        await this.refresh()
      } catch (error) {
        if (!isOverloaded(error)) {
          this.#hasGap = false
          this.#ports.onFault(error)
          break
        }
        this.#ports.onUnreachable?.()
        this.#hasGap = true
        await this.#pause()
      }
    }
    this.#recovering = undefined
  }

  #take(item: T, isReplayed = false): void {
    const position = this.#ports.position()
    if (!position || this.#reading) this.#hold(item)
    else if (isNext(item, position)) this.#deliver(item)
    else if (!isKnown(item, position)) void this.recover()
    else if (isReplayed) this.#ports.covered?.(item)
  }

  #replay(): void {
    const held = this.#held
    this.#held = []
    for (const item of held) this.#take(item, true)
  }

  #deliver(item: T): void {
    this.#ports.deliver(item)
    this.#watchQuiet()
  }

  #hold(item: T): void {
    this.#held.push(item)
    // An item dropped here is in the result of the read, or leaves a gap.
    if (this.#held.length > MAX_HELD) this.#held.shift()
  }

  #watchQuiet(): void {
    this.#cancelQuiet?.()
    if (!this.#closed) this.#cancelQuiet = this.#ports.clock.after(this.#ports.quietMs, () => void this.recover())
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#ports.clock.after(RETRY_MS, resolve)
      this.#endPause = () => {
        cancel()
        resolve()
      }
    })
  }
}

function isNext(item: Counted, { generation, seq }: Counted): boolean {
  return item.generation === generation && item.seq === seq + 1
}

function isKnown(item: Counted, { generation, seq }: Counted): boolean {
  return item.generation === generation && item.seq <= seq
}
