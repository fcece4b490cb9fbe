import { readFileSync } from 'node:fs'
import t from 'tap'
import { parse } from 'yaml'
import { METRICS, type MetricRow } from '../../src/observability/table.js'

interface Rule {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly runbook: string }
}

const rows = new Map<string, MetricRow>(Object.entries(METRICS))
/** What prom-client has of any Node process, as far as an alert asks for it. */
const OF_NODE = ['nodejs_eventloop_lag_p99_seconds', 'process_start_time_seconds']

const file = parse(readFileSync(new URL('../../../deploy/prometheus/alerts.yml', import.meta.url), 'utf8')) as {
  readonly groups: readonly { readonly rules: readonly Rule[] }[]
}
const rules = file.groups.flatMap((group) => group.rules)

/** The row of a metric; of a histogram by the name of one of its series. */
function rowOf(series: string): MetricRow | undefined {
  return rows.get(series) ?? rows.get(series.replace(/_(bucket|sum|count)$/, ''))
}

t.test('every metric that an alert asks for is served, and so is every label', async (t) => {
  t.ok(rules.length > 15)
  for (const { alert, expr } of rules) {
    const names = expr.match(/\b(runcast|nodejs|process)_\w+/g) ?? []
    t.ok(names.length > 0, alert)
    for (const name of names) t.ok(OF_NODE.includes(name) || rowOf(name), `${alert}: ${name}`)
    for (const [, name = '', selector = ''] of expr.matchAll(/\b(runcast_\w+)\{([^}]*)\}/g))
      for (const [, label = ''] of selector.matchAll(/(\w+)\s*[=!]/g))
        t.ok(rowOf(name)?.labels.includes(label), `${alert}: ${name} has ${label}`)
  }
})

t.test('every alert says how bad it is, what it means and what to do', async (t) => {
  for (const { alert, labels, annotations } of rules) {
    t.match(alert, /^Runcast[A-Z]\w+$/)
    t.ok(['info', 'warning', 'critical'].includes(labels.severity), alert)
    for (const text of [annotations.summary, annotations.runbook]) t.match(text, /^\S.*[.?]$/, alert)
  }
  t.equal(new Set(rules.map(({ alert }) => alert)).size, rules.length)
})
