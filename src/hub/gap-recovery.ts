import type { Clock } from '../core/clock.js'
import { isOverloaded } from '../protocol/codes.js'

/** A place in a counted stream. `seq` rises by 1 with each item; another generation is another count. */
export interface Counted {
  readonly generation: string
  readonly seq: number
}

/** `T`: an item of the stream; `A`: the answer to a read. */
export interface GapRecoveryPorts<T extends Counted, A> {
  readonly clock: Clock
  /** How long the stream may be silent before it is read again: what was lost may have been its last item. */
  readonly quietMs: number
  /** Up to where the stream is known. Null before the first read, and once there is no stream any more. */
  position(): Counted | null
  /** The item that follows the position, which is the item's own from then on. */
  deliver(item: T): void
  /** An item that was held back and that the read has brought as well. */
  covered?(item: T): void
  /** Reads what may have been missed, and takes it over together with its position. Rejects with `overloaded` where the store cannot be asked. */
  read(): Promise<A>
  /** `recover` could not ask the store, and will do so again. */
  onUnreachable?(): void
  /** `recover` has met a fault that is no outage of the store. */
  readonly onFault: (error: unknown) => void
}

const RETRY_MS = 500
const MAX_HELD = 1000

/**
 * Keeps a reader of a counted stream complete, although its channel may lose, repeat and reorder items: what was written before a read began is in its answer.
 *
 *                 next item: deliver; known item: drop
 *                     ┌───┐
 *                     │   ▼     a gap: an item ahead, a connection that was lost, silence
 *    unread ───────► in step ──────────────────────────────────────────────────────────► reading
 *   (hold back)         ▲                                                              (hold back)
 *                       └──── the answer, or none: replay what was held back ───────────────┘
 *                             none, since the store is away: read again after RETRY_MS
 *
 * A gap that appears while a read is under way, or in the replay, is read for once more: that read may have been answered too early.
 */
export class GapRecovery<T extends Counted, A> {
  readonly #ports: GapRecoveryPorts<T, A>
  #held: T[] = []
  #reading: Promise<A> | undefined
  /** The read after that one. */
  #next: Promise<A> | undefined
  #recovering: Promise<void> | undefined
  #hasGap = false
  #callOffQuiet: (() => void) | undefined
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
   * Reads once. A call while a read is under way waits for it and reads after it; such calls share one read. To be called for the first read of a stream,
   * after its channel was subscribed to. Rejects as `read` does.
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

  /** Something may have been missed: reads until the store answers. Resolves then, and also after a fault, which is tried again at the next gap or silence. */
  recover(): Promise<void> {
    if (this.#closed || !this.#ports.position()) return Promise.resolve()
    this.#hasGap = true
    this.#recovering ??= this.#recover()
    return this.#recovering
  }

  close(): void {
    this.#closed = true
    this.#held = []
    this.#callOffQuiet?.()
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
      // What is missed from here on may not be in the answer.
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
    // What is dropped here is in the answer to the read, or leaves a gap.
    if (this.#held.length > MAX_HELD) this.#held.shift()
  }

  #watchQuiet(): void {
    this.#callOffQuiet?.()
    if (!this.#closed) this.#callOffQuiet = this.#ports.clock.after(this.#ports.quietMs, () => void this.recover())
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const callOff = this.#ports.clock.after(RETRY_MS, resolve)
      this.#endPause = () => {
        callOff()
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
