import type { WireCurve, WireSeries } from '../../client/client.js'
import { formatNumber } from '../../core/format-number.js'
import { defineCommand } from '../command.js'
import { EXIT } from '../exit-code.js'
import { callHub, HUB_OPTIONS, hubOf } from '../hub-access.js'
import { jsonLine, plainLine } from '../plain-text.js'
import { tableOf } from '../table.js'

/** Shows the curves of a job's metrics. */
export const series = defineCommand({
  about: 'Lists the metrics of a job that have a curve, or prints the curve of one.',
  operands: ['id'],
  options: {
    metric: { value: '<name>', about: 'the curve of this metric: a row per bucket' },
    csv: { about: 'the curve as CSV' },
    json: { about: 'the answer of the hub as a line of JSON' },
    ...HUB_OPTIONS,
  },
  notes: ['A bucket has one point until the curve has more than 2000; then neighbours are merged. All numbers are exact.'],
  run: async ({ id }, given) => {
    const hub = hubOf('series', given)
    const path = `/api/jobs/${encodeURIComponent(id)}/series`
    const query = given.metric === undefined ? '' : `?${new URLSearchParams({ metric: given.metric })}`
    const answer = await callHub(hub, 'GET', `${path}${query}`)
    const isCsv = given.csv === true
    // as the route answers
    const text =
      'series' in answer ? listText(answer.series as readonly WireSeries[], isCsv) : curveText(answer as unknown as WireCurve, isCsv)
    process.stdout.write(given.json ? `${jsonLine(answer)}\n` : text)
    return EXIT.ok
  },
})

export function listText(series: readonly WireSeries[], isCsv: boolean): string {
  const rows = series.map(({ metric_name, unit, x, n, k }) => [metric_name, unit, x, n, k])
  if (isCsv) return csvOf([['metric', 'unit', 'x', 'points', 'points_per_bucket'], ...rows])
  return tableOf(['metric', 'unit', 'x', 'points', 'points per bucket'], rows)
}

export function curveText({ buckets, metric_name, unit, x }: WireCurve, isCsv: boolean): string {
  if (isCsv) return csvOf([['x_first', 'x_last', 'y_first', 'y_min', 'y_max', 'y_last', 'count'], ...buckets])
  const name = unit === '' ? metric_name : `${metric_name} (${unit})`
  if (buckets.every(([, , , , , , count]) => count === 1))
    return tableOf(
      [x, name],
      buckets.map(([first, , , , , end]) => [formatNumber(first), formatNumber(end)]),
    )
  const rows = buckets.map(([first, last, , min, max, end, count]) => [...[first, last, end, min, max].map(formatNumber), count])
  return tableOf([x, 'to', name, 'min', 'max', 'points'], rows)
}

/** Rows as CSV (RFC 4180). */
function csvOf(rows: readonly (readonly (string | number)[])[]): string {
  const cell = (value: string | number) => {
    const text = plainLine(String(value))
    return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  }
  return rows.map((row) => `${row.map(cell).join()}\n`).join('')
}
