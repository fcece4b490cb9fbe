import { join } from 'node:path'
import type { Test } from 'tap'
import { buildParts } from '../../src/app/parts.js'
import type { Entry } from '../../src/core/entry.js'
import { messageOf } from '../../src/core/entry.js'
import { eventually } from './eventually.js'
import { type Harness, type HarnessOptions, startHarness } from './harness.js'
import { BUILT_IN } from './kinds.js'
import type { Message } from './test-client.js'

/** A harness with a worker for benchmarks. Records every published entry. */
export interface BenchHarness extends Harness {
  /** Submits a benchmark and watches it from its first entry. */
  bench(body: object, id?: string): Promise<Watched>
}

/** A watched benchmark. */
export interface Watched {
  readonly id: string
  /** All of its messages so far, transient ones included, in order. */
  readonly messages: Message[]
  of(type: string): Message[]
  /** Resolves with the final message. */
  final(): Promise<Message>
}

export interface BenchOptions extends Omit<HarnessOptions, 'env'> {
  readonly providers?: readonly object[]
  readonly env?: Readonly<Record<string, string>>
}

/** Real Redis, hubs and worker with these providers. */
export async function startBenchHarness(t: Test, { providers = [], env = {}, ...options }: BenchOptions = {}): Promise<BenchHarness> {
  const PROVIDERS_FILE = join(t.testdir({ 'providers.json': JSON.stringify({ providers }) }), 'providers.json')
  const harness = await startHarness(t, { ...options, env: { WORKER_KINDS: 'benchmark', PROVIDERS_FILE, ...env } })
  const parts = buildParts(harness.config, { info: () => {}, warn: () => {}, error: (fields) => harness.faults.push(fields) }, BUILT_IN)
  const entries: Entry[] = []
  parts.broker.listen({ entry: (entry) => entries.push(entry), gap: () => {} })
  t.teardown(() => parts.close())
  let next = 1
  const bench: BenchHarness['bench'] = async (body, id = `bench-${next++}`) => {
    await parts.broker.subscribe(id)
    const answer = await harness.call('POST', '/api/benchmark', { body: { process_id: id, ...body } })
    if (answer.status !== 202) throw new Error(`submit: ${answer.status} ${JSON.stringify(answer.body)}`)
    const all = () => entries.filter((entry) => entry.id === id)
    const of = (type: string) =>
      all()
        .map(messageOf)
        .filter((message) => message.type === type)
    return {
      id,
      get messages() {
        return all().map(messageOf)
      },
      of,
      final: async () => messageOf(await eventually(() => all().find((entry) => entry.class === 'final'), { timeoutMs: 40_000 })),
    }
  }
  return { ...harness, bench }
}
