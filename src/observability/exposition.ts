import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'
import { METRICS, type MetricName, type MetricRow } from './table.js'

/** One value of a metric, with the values of its labels in the order of the table. */
export type Sample = readonly [labels: readonly string[], value: number]

/** The current values of metrics. */
export type Samples = { readonly [N in MetricName]?: readonly Sample[] }

/** Gauges of prom-client whose names end like a counter's. `nodejs_active_resources` has the same values, by type. */
const MISNAMED = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total']

/**
 * The metrics of one node: those of the table that it serves, and the default metrics of prom-client for Node
 * processes. Shares nothing with other nodes of this process.
 */
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

  /** Adds one observation to a histogram. */
  observe(name: MetricName, value: number, labels: readonly string[] = []): void {
    this.#histograms.get(name)?.observe(labelled(name, labels), value)
  }

  /**
   * Renders all metrics as text. `samples` replace all previous values of the metrics that they name. Throws
   * `TypeError` for a metric that is not served here or is a histogram.
   */
  async text(samples: Samples): Promise<string> {
    // The default metrics have a cost, so they start with the first scrape.
    if (!this.#hasDefaults) this.#addDefaults()
    for (const [name, rows] of Object.entries(samples) as [MetricName, readonly Sample[]][]) {
      const metric = this.#plain.get(name)
      if (!metric) throw new TypeError(`${name} is not a counter or gauge of this process`)
      metric.reset()
      // Added after a reset, so that a counter has exactly the value of the sample.
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
