import { columnsOf, cutTo, padTo } from './columns.js'
import { plainLine } from './plain-text.js'

/** A value of a row: a list is joined; null, undefined and an empty text are `-`. */
export type Cell = string | number | readonly string[] | null | undefined

/** Rows as aligned columns below their names, cut to `width` columns. Without rows, only the names. */
export function tableOf(columns: readonly string[], rows: readonly (readonly Cell[])[], width?: number): string {
  return alignedLines([columns, ...rows], width)
}

/** Rows as aligned columns, cut to `width` columns. */
export function alignedLines(rows: readonly (readonly Cell[])[], width = Number.POSITIVE_INFINITY): string {
  const lines = rows.map((row) => row.map(textOf))
  const widths: number[] = []
  for (const line of lines) for (const [i, text] of line.entries()) widths[i] = Math.max(widths[i] ?? 0, columnsOf(text))
  const joined = lines.map((line) => line.map((text, i) => padTo(widths[i] ?? 0, text)).join('  '))
  return joined.map((line) => `${cutTo(width, line).trimEnd()}\n`).join('')
}

/** Columns of the terminal; undefined if stdout is none. */
export function terminalWidth(): number | undefined {
  return process.stdout.isTTY ? process.stdout.columns || 80 : undefined
}

function textOf(cell: Cell): string {
  const text = typeof cell === 'object' && cell !== null ? cell.join(' ') : String(cell ?? '')
  return plainLine(text) || '-'
}
