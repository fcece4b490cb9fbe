/** A durable entry as it was told, whole. */
export interface Entry {
  readonly seq: number
  readonly type: string
  readonly [field: string]: unknown
}

/** A state that was told, and how the client had asked. */
export interface Opened {
  readonly seq: number
  readonly epoch: string
  /** What was missed follows on the socket. */
  readonly recovered: boolean
  /** The client had said where it was. */
  readonly isResumed: boolean
}

/** Reads durable entries of a job from its log: those after a seq, up to another. */
export type ReadLog = (after: number, upTo: number) => Promise<readonly Entry[]>

/** What does not last: the newest replaces the ones before. */
const PASSING = ['progress', 'process_progress']

export function isDurable({ type }: { readonly type: string }): boolean {
  return !PASSING.includes(type)
}

/** Where an entry stands beside the others, and in which count, is told with it on a socket and not in the log. */
export function contentOf({ prev: _prev, epoch: _epoch, ...entry }: Entry): Entry {
  return entry
}

/**
 * What one client has of one job. It takes what the socket tells; where a snapshot is not a continuation (the first one, or one in a new epoch) it fills what it lacks up to
 * there from REST at once, and what the hub tells of that state again is nothing new. Everything else has to come once: `told` shows it. A client that has said where it was and
 * is told a whole state of the same epoch has not been resumed: `notResumed` shows that.
 */
export class Ledger {
  readonly told: number[] = []
  readonly notResumed: number[] = []
  readonly #entries = new Map<number, Entry>()
  readonly #fills: Promise<void>[] = []
  readonly #read: ReadLog
  #last = 0
  #epoch: string | null = null
  /** Up to here a snapshot has told the state. */
  #stateUpTo = 0

  constructor(read: ReadLog) {
    this.#read = read
  }

  /** A whole state at a position. */
  snapshot({ seq, epoch, recovered, isResumed }: Opened): void {
    if (isResumed && !recovered && epoch === this.#epoch) this.notResumed.push(seq)
    this.#epoch = epoch
    this.#stateUpTo = recovered ? 0 : seq
    if (recovered || seq <= this.#last) return
    const fill = this.#read(this.#last, seq).then((entries) => {
      for (const entry of entries) this.#entries.set(entry.seq, entry)
    })
    this.#last = seq
    fill.catch(() => {})
    this.#fills.push(fill)
  }

  entry(entry: Entry): void {
    if (!isDurable(entry)) return
    this.#entries.set(entry.seq, contentOf(entry))
    if (entry.seq <= this.#stateUpTo) return
    this.told.push(entry.seq)
    this.#last = Math.max(this.#last, entry.seq)
  }

  /** Everything that it has, in order, once what was asked for has come. */
  async all(): Promise<Entry[]> {
    await Promise.all(this.#fills)
    return [...this.#entries.values()].toSorted((a, b) => a.seq - b.seq)
  }

  get fills(): number {
    return this.#fills.length
  }

  /** Seqs that were told more than once. */
  get twice(): number[] {
    return this.told.filter((seq, i) => this.told.indexOf(seq) !== i)
  }
}
