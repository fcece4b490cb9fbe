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
 * What one client has of one job. It takes what the socket tells; where a snapshot is not a continuation (the first one, or one in a new epoch) it fills what lies between
 * from REST at once. `told` shows duplicates.
 */
export class Ledger {
  readonly told: number[] = []
  readonly #filled = new Map<number, string>()
  readonly #entries = new Map<number, string>()
  readonly #fills: Promise<void>[] = []
  readonly #read: ReadLog
  #last = 0

  constructor(read: ReadLog) {
    this.#read = read
  }

  /** A whole state at a position; `recovered`: what was missed follows on the socket. */
  snapshot(seq: number, recovered: boolean): void {
    if (recovered || seq <= this.#last) return
    const after = this.#last
    this.#last = seq
    const fill = this.#read(after, seq).then((entries) => {
      for (const entry of entries) this.#filled.set(entry.seq, entry.type)
    })
    fill.catch(() => {})
    this.#fills.push(fill)
  }

  entry(entry: Entry): void {
    if (!isDurable(entry)) return
    this.told.push(entry.seq)
    this.#entries.set(entry.seq, entry.type)
    this.#last = Math.max(this.#last, entry.seq)
  }

  /** Everything that it has, in order, once what was asked for has come. */
  async all(): Promise<Entry[]> {
    await Promise.all(this.#fills)
    const all = new Map([...this.#filled, ...this.#entries])
    return [...all].map(([seq, type]) => ({ seq, type })).toSorted((a, b) => a.seq - b.seq)
  }

  get fills(): number {
    return this.#fills.length
  }

  /** Seqs that were told more than once. */
  get twice(): number[] {
    return this.told.filter((seq, i) => this.told.indexOf(seq) !== i)
  }
}
