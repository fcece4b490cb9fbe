/** Of these words the one that is most like a mistyped one: at most a third of its letters are wrong. */
export function suggestionFor(mistyped: string, words: readonly string[]): string | undefined {
  const ranked = words.map((word) => ({ word, distance: distanceOf(mistyped, word) })).sort((a, b) => a.distance - b.distance)
  return ranked.find(({ word, distance }) => distance <= Math.max(1, word.length / 3) && distance < word.length)?.word
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other (Damerau). */
function distanceOf(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  const at = (i: number, j: number) => rows[i]?.[j] ?? Number.POSITIVE_INFINITY
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    rows.push(row)
    for (let j = 1; j <= b.length; j += 1) {
      const isSwap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      row[j] = Math.min(
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        at(i - 1, j - 1) + Number(a[i - 1] !== b[j - 1]),
        isSwap ? at(i - 2, j - 2) + 1 : at(i, j - 1) + 1,
      )
    }
  }
  return at(a.length, b.length)
}
