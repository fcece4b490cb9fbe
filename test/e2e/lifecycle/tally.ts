/** Counts, by group and name: what a chaos run did and met. */
export class Tally {
  readonly #groups = new Map<string, Map<string, number>>()

  count(group: string, name: string, by = 1): void {
    const counts = this.#groups.get(group) ?? new Map<string, number>()
    this.#groups.set(group, counts.set(name, (counts.get(name) ?? 0) + by))
  }

  of(group: string, name: string): number {
    return this.#groups.get(group)?.get(name) ?? 0
  }

  entries(group: string): readonly (readonly [string, number])[] {
    return [...(this.#groups.get(group) ?? [])]
  }

  total(group: string): number {
    return [...(this.#groups.get(group)?.values() ?? [])].reduce((sum, count) => sum + count, 0)
  }

  /** One line a group: its sum, then its parts. */
  describe(groups: readonly string[]): string {
    const lines = groups.map((group) => {
      const parts = this.entries(group)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, count]) => `${count} ${name}`)
      return `  ${group.padEnd(18)}${String(this.total(group)).padStart(6)}   ${parts.join(', ')}`
    })
    return lines.join('\n')
  }
}
