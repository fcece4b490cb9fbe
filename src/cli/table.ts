import { plainLine } from './plain-text.js'

/** A value of a row: a list is joined; null and undefined are `-`. */
export type Cell = string | number | readonly string[] | null | undefined

/** Rows as aligned columns below their names. Without rows, only the names. */
export function tableOf(columns: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [columns, ...rows.map((row) => row.map(textOf))]
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0)))
  return lines
    .map((line) =>
      line
        .map((text, i) => (i === line.length - 1 ? text : text.padEnd(widths[i] ?? 0)))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('')
}

function textOf(cell: Cell): string {
  const text = typeof cell === 'object' && cell !== null ? cell.join(' ') : String(cell ?? '')
  return plainLine(text) || '-'
}
