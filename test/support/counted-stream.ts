import { type Counted, GapRecovery } from '../../src/hub/gap-recovery.js'
import { RuncastError } from '../../src/protocol/codes.js'
import { ManualClock, settle } from './manual.js'

export const QUIET_MS = 10_000

/** A counted stream and its reader. The test decides what the channel delivers and when the store answers. */
export class CountedStream {
  readonly clock = new ManualClock()
  /** Last value written. */
  head: Counted = { generation: 'a', seq: 0 }
  /** What the reader has learned of this generation, in order. */
  known: number[] = []
  /** Position of the reader; null before the first read. */
  position: Counted | null = null
  readonly covered: number[] = []
  readonly faults: unknown[] = []
  reads = 0
  unreachable = 0
  /** How reads fail: Redis is unavailable, or with this error. */
  fails: 'away' | Error | null = null
  #heldReads: (() => void)[] | undefined
  readonly recovery = new GapRecovery<Counted, number>({
    clock: this.clock,
    quietMs: QUIET_MS,
    position: () => this.position,
    deliver: (item) => {
      this.known.push(item.seq)
      this.position = item
    },
    covered: ({ seq }) => void this.covered.push(seq),
    read: () => this.#read(),
    onUnreachable: () => {
      this.unreachable += 1
    },
    onFault: (error) => void this.faults.push(error),
  })

  /** Writes without delivery: the test decides whether and when the channel delivers it. */
  write(): Counted {
    this.head = { ...this.head, seq: this.head.seq + 1 }
    return this.head
  }

  /** Writes and delivers. */
  publish(): void {
    this.recovery.receive(this.write())
  }

  /** Replaces the store by one that counts from 0. */
  restart(generation: string): void {
    this.head = { generation, seq: 0 }
  }

  holdReads(): void {
    this.#heldReads ??= []
  }

  releaseReads(): void {
    const held = this.#heldReads ?? []
    this.#heldReads = undefined
    for (const release of held) release()
  }

  /** Makes the first read. */
  async open(): Promise<this> {
    await this.recovery.refresh()
    return this
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms)
    await settle()
  }

  /** Reads at the time of the call; the answer may be delayed. */
  async #read(): Promise<number> {
    this.reads += 1
    const { head, fails, position } = this
    const held = this.#heldReads
    if (held) await new Promise<void>((resolve) => held.push(resolve))
    if (fails) throw fails === 'away' ? new RuncastError('overloaded') : fails
    if (this.position !== position) throw new Error('an item was delivered while a read was under way')
    const from = position?.generation === head.generation ? position.seq : 0
    const kept = from > 0 ? this.known : []
    // A store never answers with less than a reader of its generation knows.
    this.known = [...kept, ...Array.from({ length: head.seq - from }, (_, i) => from + i + 1)]
    this.position = head
    return head.seq
  }
}
