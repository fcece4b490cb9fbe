import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { METRICS, type MetricName, type MetricRow } from './table.js'

/** One number of a metric, and the values of its labels in the order of the table. */
export type Sample = readonly [labels: readonly string[], value: number]

/** What is known of metrics now. */
export type Samples = { readonly [N in MetricName]?: readonly Sample[] }

/** Gauges that prom-client has under a name that ends like a counter's; the same is in `nodejs_active_resources`, by type. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

/** The metrics of one node: those of the table that it serves, and those that prom-client has of any Node process. Shares nothing with another node of this process. */
export class Exposition {
  readonly #registry = new Registry()
  readonly #plain = new Map<MetricName, Counter | Gauge>()
  readonly #histograms = new Map<MetricName, Histogram>()
  #hasDefaults = false

  constructor(of: 'hub' | 'worker') {
    for (const [name, row] of Object.entries(METRICS) as [MetricName, MetricRow][]) {
      if (row.of !== of && row.of !== 'both') continue
      const options = { name, help: row.help, labelNames: row.labels, registers: [this.#registry] }
      if (row.type === 'counter') this.#plain.set(name, new Counter(options))
      else if (row.type === 'gauge') this.#plain.set(name, new Gauge(options))
      else this.#histograms.set(name, new Histogram({ ...options, buckets: [...(row.buckets ?? [])] }))
    }
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** Takes one measure of a histogram. */
  observe(name: MetricName, value: number, labels: readonly string[] = []): void {
    this.#histograms.get(name)?.observe(labelled(name, labels), value)
  }

  /** The text of all metrics, in which the named ones are as they are given here and nothing else. */
  async text(samples: Samples): Promise<string> {
    // What they cost begins with the first who asks.
    if (!this.#hasDefaults) this.#addDefaults()
    for (const [name, rows] of Object.entries(samples) as [MetricName, readonly Sample[]][]) {
      const metric = this.#plain.get(name)
      if (!metric) throw new TypeError(`${name} is not served here, or is no counter and no gauge`)
      metric.reset()
      // From nothing, so that a counter is what was counted.
      for (const [labels, value] of rows) metric.inc(labelled(name, labels), value)
    }
    return this.#registry.metrics()
  }

  #addDefaults(): void {
    this.#hasDefaults = true
    collectDefaultMetrics({ register: this.#registry })
    for (const name of MISNAMED) this.#registry.removeSingleMetric(name)
  }
}

function labelled(name: MetricName, values: readonly string[]): Record<string, string> {
  return Object.fromEntries(METRICS[name].labels.map((label, i) => [label, values[i] ?? '']))
}
