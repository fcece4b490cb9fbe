import type { Test } from 'tap'
import { METRICS, type MetricName } from '../../src/observability/table.js'
import { eventually } from './eventually.js'
import { type Harness, type HarnessOptions, startHarness } from './harness.js'
import { readExposition, type Scraped } from './scraped.js'
import { Stage } from './stage.js'

type Labels = Readonly<Record<string, string>>
type Where = 'hub' | 'worker'

/** Patient: the machine may have other things to do. */
const PATIENCE = { timeoutMs: 40_000, everyMs: 50 }
/** The metrics that one file of tests moves; the others are moved by the other file. */
const OF_CLIENTS =
  /^runcast_(connections|sessions|subscriptions|topics|entries|resyncs|heals|publish_to_socket|outbox|closes|refusals|upgrades|http|ready|redis|clock|publish_retries|reports_buffered)/
/** What can stand in no label: users, ids of jobs, tokens, paths of requests. */
const NAMES = /alice|worker-1|no-such-job|opt-of-metrics|eyJ|[0-9a-f]{8}-[0-9a-f]{4}-|nothing\/at/

/** What was seen to move, and all that was scraped, in this test file. */
const moved = new Set<MetricName>()
const scraped: Scraped[] = []

/** A harness whose runs are played by a stage, with a look at the metrics of its first hub and its worker. */
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

  /** Until a metric is as it has to be; then it counts as seen. */
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

  /** Until it is this; a counter, and the count of a histogram, begins at nothing. */
  counts(name: MetricName, value: number, labels: Labels = {}, where: Where = 'hub'): Promise<void> {
    return this.sees(name, (now) => now === value, labels, where)
  }

  /** It was seen in another way. */
  saw(...names: readonly MetricName[]): void {
    for (const name of names) moved.add(name)
  }
}

function keep(text: string): Scraped {
  const read = readExposition(text)
  scraped.push(read)
  return read
}

/** Starts it. */
export async function watch(t: Test, options: HarnessOptions = {}): Promise<Watched> {
  const stage = new Stage()
  return new Watched(await startHarness(t, { processor: stage.processor, ...options }), stage)
}

/** Every declared metric of this file's half was seen moving; all that was scraped has the types and the labels that are declared, and names nobody. */
export function assertDeclared(t: Test, half: 'clients' | 'jobs'): void {
  const rows = Object.entries(METRICS)
  const own = rows.map(([name]) => name as MetricName).filter((name) => OF_CLIENTS.test(name) === (half === 'clients'))
  t.same(
    own.filter((name) => !moved.has(name)),
    [],
    'a metric that no test moves',
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

export const some = (value: number): boolean => value > 0
export const none = (value: number): boolean => value === 0
