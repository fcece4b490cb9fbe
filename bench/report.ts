import { readFileSync } from 'node:fs'
import { cpus, release } from 'node:os'

export interface Machine {
  readonly processor: string
  readonly cores: number
  readonly system: string
}

export function machine(): Machine {
  return { processor: cpus()[0]?.model ?? 'unknown processor', cores: cpus().length, system: `${process.platform} ${release()}` }
}

/** Installed versions of packages and of Node. */
export function versionsOf(packages: readonly string[]): Record<string, string> {
  const versions = packages.map((name) => {
    const manifest = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
    return [name, (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version]
  })
  return { node: process.versions.node, ...Object.fromEntries(versions) }
}

/** The quantile at this fraction; NaN without values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(Math.floor(share * sorted.length), sorted.length - 1)] ?? Number.NaN
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Rows as lines: first column left-aligned, others right-aligned. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join('   ')
  return rows.map((row) => `  ${line(row)}\n`).join('')
}

/** Prints durations in ms, with a description of the machine. */
export function reportDurations(name: string, values: readonly number[]): void {
  const at = (share: number) => quantile(values, share).toFixed(1)
  process.stdout.write(`${name}\n  n ${values.length}   median ${at(0.5)} ms   p90 ${at(0.9)} ms   max ${at(1)} ms\n`)
  const { processor, cores } = machine()
  process.stdout.write(`  ${processor}, ${cores} cores, Node ${process.version}\n`)
}
