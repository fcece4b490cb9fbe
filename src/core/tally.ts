/** Counts by labels, added to in place and read when somebody asks. Labels are names of a table, never ids, users or tokens: there are few, and they stay. */
export class Tally<L extends readonly string[]> {
  readonly #rows = new Map<string, { readonly labels: L; count: number }>()

  /** `known`: combinations that are there from the start, with 0, so that the first one that is counted is seen as a rise. */
  constructor(known: readonly L[] = []) {
    for (const labels of known) this.#rows.set(labels.join(' '), { labels, count: 0 })
  }

  add(...labels: L): void {
    const key = labels.join(' ')
    const row = this.#rows.get(key)
    if (row) row.count += 1
    else this.#rows.set(key, { labels, count: 1 })
  }

  /** Each combination that is known or was counted. */
  get rows(): (readonly [labels: L, count: number])[] {
    return [...this.#rows.values()].map(({ labels, count }) => [labels, count])
  }
}

/** Hands each duration on to whoever listens; until somebody does they are dropped. */
export class Durations<L extends readonly string[] = []> {
  #listener: ((seconds: number, labels: L) => void) | undefined

  listen(listener: (seconds: number, labels: L) => void): void {
    this.#listener = listener
  }

  /** Whether anybody listens: what costs something to find out need not be found out for nobody. */
  get hasListener(): boolean {
    return this.#listener !== undefined
  }

  /** Clocks of different machines may be apart: what would be less than nothing is nothing. */
  add(ms: number, ...labels: L): void {
    if (Number.isFinite(ms)) this.#listener?.(Math.max(0, ms / 1000), labels)
  }
}
