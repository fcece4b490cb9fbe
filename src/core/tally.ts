/**
 * Counters by labels. Label values come from fixed sets, never from ids, users or tokens, so the number of rows is
 * bounded.
 */
export class Tally<L extends readonly string[]> {
  readonly #rows = new Map<string, { readonly labels: L; count: number }>()

  /** `known`: combinations that start at 0, so that the first count is visible as an increase. */
  constructor(known: readonly L[] = []) {
    for (const labels of known) this.#rows.set(labels.join(' '), { labels, count: 0 })
  }

  add(...labels: L): void {
    const key = labels.join(' ')
    const row = this.#rows.get(key)
    if (row) row.count += 1
    else this.#rows.set(key, { labels, count: 1 })
  }

  /** All known or counted combinations. */
  get rows(): (readonly [labels: L, count: number])[] {
    return [...this.#rows.values()].map(({ labels, count }) => [labels, count])
  }
}

/** Passes durations to one listener; without a listener they are dropped. */
export class Durations<L extends readonly string[] = []> {
  #listener: ((seconds: number, labels: L) => void) | undefined

  listen(listener: (seconds: number, labels: L) => void): void {
    this.#listener = listener
  }

  /** Whether there is a listener, so that callers can skip expensive measurements. */
  get hasListener(): boolean {
    return this.#listener !== undefined
  }

  /** Negative durations count as 0, because clocks of different machines may differ. */
  add(ms: number, ...labels: L): void {
    if (Number.isFinite(ms)) this.#listener?.(Math.max(0, ms / 1000), labels)
  }
}
