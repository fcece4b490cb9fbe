import type { HubNode } from '../../src/app/hub-node.js'
import type { JobEvent } from '../../src/core/entry.js'
import { processEvents } from '../../src/core/process-events.js'

const events = processEvents('benchmark')
const FAILED = { model: 'local/ngram', context_tier: 0, status: 'failed', code: 'timeout', error: '', elapsed_ms: 1 }
const COUNTS = { total: 0, ok: 0, failed: 0, skipped: 0, output_tokens: 0 }
/** The result of each that completes. */
export const PLAYED_RESULT = { ...COUNTS, system_throughput_tokens_per_s: 0, cells: [] }
const INPUT = { models: ['local/ngram'], runs: 1, context_tiers: [0] }

/** A benchmark whose events a test writes. No worker computes this kind. */
export class PlayedBenchmark {
  readonly id: string
  readonly #node: HubNode
  readonly #owner: string
  #n = 0
  #round = 1
  results = 0

  private constructor(node: HubNode, id: string, owner: string) {
    this.#node = node
    this.id = id
    this.#owner = owner
  }

  static async submit(node: HubNode | undefined, owner = 'alice', id?: string): Promise<PlayedBenchmark> {
    if (!node) throw new RangeError('there is no such node')
    const state = await node.jobs.submit({ kind: 'benchmark', owner, input: INPUT, ...(id !== undefined && { id }) })
    return new PlayedBenchmark(node, state.id, owner)
  }

  start(): Promise<void> {
    return this.#write(events.status(this.id, 'running'))
  }

  /** Publishes a progress, which may be conflated, and a result. */
  async step(): Promise<void> {
    this.results += 1
    const progress = { current: this.results, total: 100, detail: `Run ${this.results}` }
    await this.#write(events.progress(this.id, progress), events.result(this.id, { ...FAILED, run: this.results }))
  }

  /** Fails the attempt and starts another one. */
  async lose(): Promise<void> {
    await this.#write({ ...events.status(this.id, 'retrying'), clears: 'attempt' }, events.status(this.id, 'running'))
    this.results = 0
  }

  async complete(): Promise<void> {
    await this.#end(events.completed(this.id, { compute_time_s: 1, ...PLAYED_RESULT }, {}))
  }

  async fail(): Promise<void> {
    await this.#end(events.failed(this.id, { error: 'no answer', code: 'solver_error', log_tail: '' }, {}))
  }

  /** An explicit retry by the user. */
  async retry(): Promise<void> {
    this.#round += 1
    this.#n = 0
    this.results = 0
    await this.#control({ ...events.status(this.id, 'queued'), clears: 'round' })
    await this.#node.parts.feeds.add(this.#owner, this.id, true)
  }

  async #end(event: JobEvent): Promise<void> {
    await this.#control(event)
    await this.#node.parts.feeds.remove(this.#owner, this.id)
  }

  async #write(...written: JobEvent[]): Promise<void> {
    this.#n += 1
    const answer = await this.#node.parts.broker.publish(this.id, written, { round: this.#round, token: 1, n: this.#n })
    if (!answer.ok) throw new Error(`${this.id}: ${answer.reason}`)
  }

  async #control(event: JobEvent): Promise<void> {
    const answer = await this.#node.parts.broker.publish(this.id, [event], { round: this.#round, token: 0, n: 0 })
    if (!answer.ok) throw new Error(`${this.id}: ${answer.reason}`)
  }
}
