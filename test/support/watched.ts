import type { Test } from 'tap'
import { METRICS, type MetricName } from '../../src/observability/table.js'
import { askedByDashboard } from './dashboard.js'
import { eventually } from './eventually.js'
import { type Harness, type HarnessOptions, startHarness } from './harness.js'
import { readExposition, type Scraped } from './scraped.js'
import { Stage } from './stage.js'

type Labels = Readonly<Record<string, string>>
type Where = 'hub' | 'worker'

/** Long enough for a busy machine. */
const PATIENCE = { timeoutMs: 40_000, everyMs: 50 }
/** The metrics that one test file changes; the other file changes the rest. */
const OF_CLIENTS =
  /^runcast_(connections|sessions|subscriptions|topics|entries|resyncs|heals|publish_to_socket|outbox|closes|refusals|upgrades|http|ready|redis|clock|publish_retries|reports_buffered)/
/** Texts that no label may contain: users, ids of jobs, tokens, paths of requests. */
const NAMES = /alice|worker-1|no-such-job|opt-of-metrics|eyJ|[0-9a-f]{8}-[0-9a-f]{4}-|nothing\/at/

/** The metrics that changed, and all samples, in this test file. */
const moved = new Set<MetricName>()
const scraped: Scraped[] = []

/** A harness with runs driven by a stage, and access to the metrics of its first hub and of its worker. */
export class Watched {
  readonly h: Harness
  readonly stage: Stage

  constructor(h: Harness, stage: Stage) {
    this.h = h
    this.stage = stage
  }

  async hub(node = 0): Promise<Scraped> {
    const response = await fetch(`${this.h.nodes[node]?.http}/metrics`)
    if (!response.ok) throw new Error(`${response.status}`)
    return keep(await response.text())
  }

  async worker(): Promise<Scraped> {
    return keep((await this.h.worker?.scrape.text()) ?? '')
  }

  /** Waits until a metric satisfies a condition, and marks it as seen. */
  async sees(name: MetricName, is: (value: number) => boolean, labels: Labels = {}, where: Where = 'hub'): Promise<void> {
    let now: number | undefined
    await eventually(async () => {
      now = (await this[where]()).sum(name, labels)
      return is(now)
    }, PATIENCE).catch((error: unknown) => {
      throw new Error(`${name} ${JSON.stringify(labels)} of the ${where} is ${now}`, { cause: error })
    })
    moved.add(name)
  }

  /** Waits for this value. Counters, and counts of histograms, start at 0. */
  counts(name: MetricName, value: number, labels: Labels = {}, where: Where = 'hub'): Promise<void> {
    return this.sees(name, (now) => now === value, labels, where)
  }

  /** Marks a metric as seen. */
  saw(...names: readonly MetricName[]): void {
    for (const name of names) moved.add(name)
  }
}

function keep(text: string): Scraped {
  const read = readExposition(text)
  scraped.push(read)
  return read
}

/** Starts the harness. */
export async function watch(t: Test, options: HarnessOptions = {}): Promise<Watched> {
  const stage = new Stage()
  return new Watched(await startHarness(t, { processor: stage.processor, ...options }), stage)
}

/**
 * Checks that every metric of this file changed, and that all samples have the declared types and labels and no names.
 */
export function assertDeclared(t: Test, half: 'clients' | 'jobs'): void {
  const rows = Object.entries(METRICS)
  const own = rows.map(([name]) => name as MetricName).filter((name) => OF_CLIENTS.test(name) === (half === 'clients'))
  t.same(
    own.filter((name) => !moved.has(name)),
    [],
    `a metric that no test in metrics-${half}.test.ts changes`,
  )
  const served = new Map(scraped.flatMap(({ types }) => [...types]))
  for (const name of own) t.equal(served.get(name), METRICS[name].type, name)
  for (const { text, lines } of scraped) {
    if (NAMES.test(text)) t.fail(`${NAMES.exec(text)} stands in it`)
    for (const { name, labels } of lines.filter(({ name }) => name.startsWith('runcast_'))) {
      const [, row] = rows.find(([known]) => name === known || name.replace(/_(bucket|sum|count)$/, '') === known) ?? []
      const known: readonly string[] = [...(row?.labels ?? []), ...(name.endsWith('_bucket') ? ['le'] : [])]
      if (String(Object.keys(labels).toSorted()) !== String(known.toSorted())) t.fail(`${name} has ${Object.keys(labels)}`)
    }
  }
}

/**
 * Checks that hubs and workers of this test file have served what the dashboard asks for: each metric, and each label in
 * a sample of it; without a sample, in the table.
 */
export function assertDashboard(t: Test): void {
  const served = new Map(scraped.flatMap(({ types }) => [...types]))
  const samples = scraped.flatMap(({ lines }) => lines)
  const asked = askedByDashboard()
  t.ok(asked.length > 30)
  for (const { panel, metric, labels } of asked) {
    const name = served.has(metric) ? metric : metric.replace(/_(bucket|sum|count)$/, '')
    t.ok(served.has(name), `${panel}: ${metric}`)
    const sample = samples.find((line) => line.name === metric)
    const declared = METRICS[name as MetricName]?.labels ?? []
    const known = sample ? Object.keys(sample.labels) : [...declared, ...(metric.endsWith('_bucket') ? ['le'] : [])]
    for (const label of labels) t.ok(known.includes(label), `${panel}: ${metric} has ${label}`)
  }
}

export const some = (value: number): boolean => value > 0
export const none = (value: number): boolean => value === 0
