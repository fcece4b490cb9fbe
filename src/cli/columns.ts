const graphemes = new Intl.Segmenter()
/** Characters that a terminal shows in two columns: East Asian Wide and Fullwidth (UAX 11), and emoji. */
const WIDE =
  /^(?:[\p{Emoji_Presentation}\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3041-\u3247\u3250-\u4dbf\u4e00-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18cff}\u{1aff0}-\u{1b2fb}\u{20000}-\u{3fffd}]|\p{Emoji}\ufe0f)/u

/** Columns of a plain line in a terminal. */
export function columnsOf(text: string): number {
  let columns = 0
  for (const { segment } of graphemes.segment(text)) columns += WIDE.test(segment) ? 2 : 1
  return columns
}

/** The line filled with spaces up to `columns`. */
export function padTo(columns: number, text: string): string {
  return text + ' '.repeat(Math.max(0, columns - columnsOf(text)))
}

/** As much of the line as `columns` hold. */
export function cutTo(columns: number, text: string): string {
  if (text.length <= columns / 2) return text
  let [free, end] = [columns, 0]
  for (const { segment, index } of graphemes.segment(text)) {
    free -= WIDE.test(segment) ? 2 : 1
    if (free < 0) break
    end = index + segment.length
  }
  return text.slice(0, end)
}
