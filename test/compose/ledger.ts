/** A durable entry, by its place and type. */
export interface Entry {
  readonly seq: number
  readonly type: string
}

/** Reads durable entries of a job from its log: those after a seq, up to another. */
export type ReadLog = (after: number, upTo: number) => Promise<readonly Entry[]>

/** What does not last: the newest replaces the ones before. */
const PASSING = ['progress', 'process_progress']

export function isDurable({ type }: { readonly type: string }): boolean {
  return !PASSING.includes(type)
}

/**
 * What one client has of one job. It takes what the socket tells; where a snapshot is not a continuation (the first one, or one in a new epoch) it fills what it lacks up to
 * there from REST at once, and what the hub tells of that state again is nothing new. Everything else has to come once: `told` shows it.
 */
export class Ledger {
  readonly told: number[] = []
  readonly #entries = new Map<number, string>()
  readonly #fills: Promise<void>[] = []
  readonly #read: ReadLog
  #last = 0
  /** Up to here a snapshot has told the state. */
  #stateUpTo = 0

  constructor(read: ReadLog) {
    this.#read = read
  }

  /** A whole state at a position; `recovered`: what was missed follows on the socket. */
  snapshot(seq: number, recovered: boolean): void {
    this.#stateUpTo = recovered ? 0 : seq
    if (recovered || seq <= this.#last) return
    const fill = this.#read(this.#last, seq).then((entries) => {
      for (const entry of entries) this.#entries.set(entry.seq, entry.type)
    })
    this.#last = seq
    fill.catch(() => {})
    this.#fills.push(fill)
  }

  entry(entry: Entry): void {
    if (!isDurable(entry)) return
    this.#entries.set(entry.seq, entry.type)
    if (entry.seq <= this.#stateUpTo) return
    this.told.push(entry.seq)
    this.#last = Math.max(this.#last, entry.seq)
  }

  /** Everything that it has, in order, once what was asked for has come. */
  async all(): Promise<Entry[]> {
    await Promise.all(this.#fills)
    return [...this.#entries].map(([seq, type]) => ({ seq, type })).toSorted((a, b) => a.seq - b.seq)
  }

  get fills(): number {
    return this.#fills.length
  }

  /** Seqs that were told more than once. */
  get twice(): number[] {
    return this.told.filter((seq, i) => this.told.indexOf(seq) !== i)
  }
}
