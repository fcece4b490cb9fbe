import type { WireCurve, WireSeries } from '../../client/client.js'
import { formatNumber } from '../../core/format-number.js'
import { defineCommand } from '../command.js'
import { EXIT } from '../exit-code.js'
import { callHub, HUB_OPTIONS, hubOf } from '../hub-access.js'
import { plainLine } from '../plain-text.js'

const COLUMNS = ['x_first', 'x_last', 'y_first', 'y_min', 'y_max', 'y_last', 'count']

/** Shows the curves of a job's metrics. */
export const series = defineCommand({
  about: 'Lists the metrics of a job that have a curve, or prints the curve of one.',
  operands: ['id'],
  options: {
    ...HUB_OPTIONS,
    metric: { value: '<name>', about: 'the curve of this metric: a row per bucket' },
    csv: { about: 'the curve as CSV' },
    json: { about: 'the answer of the hub as a line of JSON' },
  },
  notes: ['A bucket has one point until the curve has more than 2000; then neighbours are merged. All numbers are exact.'],
  run: async ({ id }, given) => {
    const hub = hubOf('series', given)
    const path = `/api/jobs/${encodeURIComponent(id)}/series`
    const query = given.metric === undefined ? '' : `?${new URLSearchParams({ metric: given.metric })}`
    const answer = await callHub(hub, 'GET', `${path}${query}`)
    // as the route answers
    const rows =
      'series' in answer
        ? listOf(answer.series as readonly WireSeries[], given.csv === true)
        : rowsOf(answer as unknown as WireCurve, given.csv === true)
    const lines = given.json === true ? [JSON.stringify(answer)] : rows
    for (const line of lines) process.stdout.write(`${line}\n`)
    return EXIT.ok
  },
})

function listOf(series: readonly WireSeries[], isCsv: boolean): string[] {
  if (isCsv)
    return [
      'metric,unit,x,points,points_per_bucket',
      ...series.map(({ metric_name, unit, x, n, k }) => [metric_name, unit, x, n, k].map(cell).join()),
    ]
  return series.map(({ metric_name, unit, x, n }) =>
    plainLine(`${metric_name}${unit === '' ? '' : ` (${unit})`}: ${n} ${n === 1 ? 'point' : 'points'} by ${x}`),
  )
}

function rowsOf({ buckets, metric_name, unit, x }: WireCurve, isCsv: boolean): string[] {
  if (isCsv) return [COLUMNS.join(), ...buckets.map((bucket) => bucket.join())]
  const head = plainLine(`${x}  ${metric_name}${unit === '' ? '' : ` (${unit})`}`)
  const isSingle = buckets.every(([, , , , , , count]) => count === 1)
  const rows = buckets.map(([first, last, , min, max, end, count]) =>
    isSingle
      ? `${formatNumber(first)}  ${formatNumber(end)}`
      : `${formatNumber(first)} to ${formatNumber(last)}  ${formatNumber(end)}, ${formatNumber(min)} to ${formatNumber(max)} in ${count} points`,
  )
  return [head, ...rows]
}

/** A cell of CSV (RFC 4180). */
function cell(value: string | number): string {
  const text = String(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
