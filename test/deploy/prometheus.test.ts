import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { eventually } from '../support/eventually.js'
import { startHarness } from '../support/harness.js'
import { optimize } from '../support/optimizations.js'
import { promtool } from '../support/promtool.js'
import { readExposition } from '../support/scraped.js'
import { type AlertCase, CASES, type Series } from './alert-cases.js'

interface Rule {
  readonly alert: string
  readonly labels: { readonly severity: string }
  readonly annotations: object
}

const ALERTS = fileURLToPath(new URL('../../../deploy/prometheus/alerts.yml', import.meta.url))
const { groups } = parse(readFileSync(ALERTS, 'utf8')) as { groups: { rules: Rule[] }[] }
const rules = groups.flatMap((group) => group.rules)

t.test('promtool finds nothing wrong with the metrics of a hub and a worker under load', async (t) => {
  const h = await startHarness(t, { env: { WORKER_KINDS: 'run,optimization', WORKER_CONCURRENCY: '2', SWEEP_INTERVAL_MS: '200' } })
  const ids = await Promise.all(Array.from({ length: 8 }, () => h.submit()))
  const clients = await Promise.all(ids.map((id) => h.connect(id)))
  await optimize(h, 'under-load')
  const scrapes = async () => [await (await fetch(`${h.nodes[0]?.http}/metrics`)).text(), (await h.worker?.scrape.text()) ?? ''] as const
  await eventually(async () => {
    const [hub, worker] = (await scrapes()).map(readExposition)
    return (hub?.sum('runcast_entries_delivered_total') ?? 0) > 20 && (worker?.sum('runcast_running_jobs') ?? 0) > 0
  })
  const [hub, worker] = await scrapes()
  t.match(hub, /runcast_publish_to_socket_seconds_bucket\{le="1"\} [1-9]/)
  for (const text of [hub, worker]) t.equal(await promtool(t, ['check', 'metrics'], text), '', 'not even a remark')
  await h.call('POST', '/api/v2/optimizations/under-load/cancel')
  for (const client of clients) await client.next('completed')
})

t.test('promtool takes the alert rules', async (t) => {
  t.match(await promtool(t, ['check', 'rules', ALERTS]), `SUCCESS: ${rules.length} rules found`)
})

t.test('every alert fires when it should, and not when it should not', async (t) => {
  t.same(Object.keys(CASES).toSorted(), rules.map(({ alert }) => alert).toSorted())
  const tests = rules.flatMap((rule) => {
    const found = CASES[rule.alert]
    return found ? [testOf(rule, found, found.fires, true), testOf(rule, found, found.quiet, false)] : []
  })
  const path = join(t.testdir({}), 'alerts.json')
  writeFileSync(path, JSON.stringify({ rule_files: [ALERTS], evaluation_interval: '1m', tests }, null, 2))
  t.match(await promtool(t, ['test', 'rules', path]), 'SUCCESS')
})

/** A test in promtool's words. */
function testOf({ alert, labels, annotations }: Rule, { at, labels: own }: AlertCase, series: Series, fires: boolean): object {
  const expected = [own ?? {}].flat().map((one) => ({ exp_labels: { ...labels, ...one }, exp_annotations: annotations }))
  return {
    name: `${alert} ${fires ? 'fires' : 'is quiet'}`,
    interval: '1m',
    input_series: Object.entries(series).map(([name, values]) => ({ series: name, values })),
    alert_rule_test: [{ eval_time: `${at}m`, alertname: alert, exp_alerts: fires ? expected : [] }],
  }
}
