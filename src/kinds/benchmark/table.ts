import { type CellSkipped, type CellSummary, type Distribution, isBenchmarkSummary } from './result.js'

const HEAD = ['model', 'context', 'ok', 'TTFT ms', 'TPOT ms', 'E2E ms', 'tokens/s', 'cost']

/** The result as a text table: a line per model and tier with medians, then totals. Null for another value. */
export function benchmarkTable(result: unknown): string | null {
  if (!isBenchmarkSummary(result)) return null
  const { cells, total, ok, skipped, system_throughput_tokens_per_s, cost } = result
  const rows = [HEAD, ...cells.map(rowOf)]
  const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  const lines = rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))),
  )
  const whole = [
    `${ok} of ${total} requests succeeded`,
    ...(skipped > 0 ? [`${skipped} cells skipped`] : []),
    `${short(system_throughput_tokens_per_s)} tokens/s over all`,
    ...(cost === undefined ? [] : [`cost ${money(cost)}`]),
  ]
  const isEstimated = cells.some((cell) => cell.status === 'measured' && cell.is_estimated)
  const notes = ['Times and tokens/s are medians.', ...(isEstimated ? ['~: tokens are estimated from characters.'] : [])]
  return ['', ...lines.map((line) => line.join('  ').trimEnd()), '', `${whole.join(', ')}. ${notes.join(' ')}`].join('\n')
}

function rowOf(cell: CellSummary | CellSkipped): string[] {
  const { model, context_tier: tier } = cell
  if (cell.status === 'skipped') return [model, String(tier), cell.reason]
  const { ok, failed, ttft_ms, tpot_ms, e2e_ms, output_tokens_per_s, is_estimated, cost } = cell
  const speed = median(output_tokens_per_s)
  return [
    model,
    String(tier),
    `${ok}/${ok + failed}`,
    ...[ttft_ms, tpot_ms, e2e_ms].map(median),
    is_estimated && ok > 0 ? `~${speed}` : speed,
    cost === undefined ? '' : money(cost),
  ]
}

function median(distribution: Distribution | null): string {
  return distribution ? short(distribution.p50) : '–'
}

function short(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(value >= 10 ? 1 : 2)
}

function money(value: number): string {
  return String(Number(value.toPrecision(3)))
}
