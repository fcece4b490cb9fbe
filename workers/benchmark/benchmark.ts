import type { BenchmarkInput } from '../../src/kinds/benchmark/input.js'
import type { BenchmarkSummary, RequestFailed, RequestOk } from '../../src/kinds/benchmark/result.js'
import { type Job, JobFailure, type Processor } from '../../src/worker/processor.js'
import { buildMatrix, byProvider, type Cell, type Matrix } from './matrix.js'
import { gapsOf, measure } from './measure.js'
import { loadOpenAI, type OpenAIPackage } from './openai.js'
import { promptFor, tierLabel } from './prompt.js'
import { type Outcome, send } from './request.js'
import { requestsCsv } from './requests-csv.js'
import type { Secrets } from './secrets.js'
import { rounded } from './statistics.js'
import { type Measured, skippedOf, summarise, summariseCell } from './summary.js'
import type { Target } from './target.js'

/** What a benchmark needs. */
export interface BenchmarkOptions {
  /** By id. */
  readonly targets: ReadonlyMap<string, Target>
  /** Text that contexts are built from. */
  readonly filler: string
  readonly secrets: Secrets
}

/**
 * The processor of benchmarks. It sends the requests of the matrix: models of one provider one after the other,
 * providers in parallel. It reports each request as it ends. A failed request is a result. The benchmark fails if no
 * measured request succeeded, or if nothing can be sent at all.
 */
export function benchmarkProcessor(parts: BenchmarkOptions): Processor<BenchmarkInput, 'process'> {
  return async (input, job) => new Benchmark(parts, await loadOpenAI(), input, job).run()
}

class Benchmark {
  readonly #options: BenchmarkOptions
  readonly #openai: OpenAIPackage
  readonly #input: BenchmarkInput
  readonly #job: Job<'process'>
  readonly #matrix: Matrix
  readonly #measured = new Map<Cell, Measured[]>()
  #finished = 0

  constructor(parts: BenchmarkOptions, openai: OpenAIPackage, input: BenchmarkInput, job: Job<'process'>) {
    this.#options = parts
    this.#openai = openai
    this.#input = input
    this.#job = job
    const targets = input.models.map((id) => {
      const target = parts.targets.get(id)
      if (!target) throw new JobFailure('invalid_input', `This worker has no model ${id}; it has ${[...parts.targets.keys()].join(', ')}.`)
      return target
    })
    this.#matrix = buildMatrix(targets, input)
  }

  async run(): Promise<BenchmarkSummary> {
    for (const cell of this.#matrix.cells) if (cell.skipped !== undefined) this.#job.result(skippedOf(cell, cell.skipped))
    if (this.#matrix.total === 0)
      throw new JobFailure('invalid_input', 'No context tier fits into the context window of any of these models.')
    const lanes = byProvider(this.#matrix.cells.filter(({ skipped }) => skipped === undefined)).map((cells) => this.#work(cells))
    // All lanes end, since the signal that ends one ends the others. So no lane continues to report.
    for (const lane of await Promise.allSettled(lanes)) if (lane.status === 'rejected') throw lane.reason
    this.#job.signal.throwIfAborted()
    const requests = this.#matrix.cells.flatMap((cell) => (this.#measured.get(cell) ?? []).map(({ result }) => result))
    await this.#job.artifact('requests.csv', { data: requestsCsv(requests), optional: true })
    return this.#summary()
  }

  async #work(cells: readonly Cell[]): Promise<void> {
    const warm = new Set<Target>()
    for (const cell of cells) {
      const { warmup, runs } = this.#input
      // Once per model: it loads the model and opens the connection.
      for (let i = 1; i <= warmup && !warm.has(cell.target); i += 1) {
        this.#progress(cell, `Warm-up ${i}/${warmup}`, 'warming up')
        await this.#send(cell)
      }
      warm.add(cell.target)
      for (let run = 1; run <= runs; run += 1) {
        this.#progress(cell, `Run ${run}/${runs}`, 'measuring')
        const measured = measuredOf(cell, run, await this.#send(cell))
        this.#measured.set(cell, [...(this.#measured.get(cell) ?? []), measured])
        this.#finished += 1
        this.#job.result(measured.result)
        this.#curves(cell, measured.result)
        this.#progress(cell, `Run ${run}/${runs}`, 'measuring')
        // Fast endpoints deliver results faster than they can be written.
        await this.#job.flush()
      }
    }
  }

  #send({ target, tier }: Cell): Promise<Outcome> {
    const { max_tokens, temperature, prompt, timeout_s } = this.#input
    const request = {
      prompt: promptFor(tier, this.#options.filler, prompt),
      maxTokens: max_tokens,
      timeoutMs: timeout_s * 1000,
      ...(temperature !== undefined && { temperature }),
    }
    return send(this.#openai, target, request, this.#options.secrets, this.#job.signal)
  }

  #progress({ target, tier }: Cell, what: string, phase: 'warming up' | 'measuring'): void {
    const detail = `${what}, Context ${tierLabel(tier)}`
    this.#job.progress({ current: this.#finished, total: this.#matrix.total, model: target.id, detail, phase })
  }

  /** The latencies of each successful request, by the number of finished requests. */
  #curves({ target }: Cell, result: RequestOk | RequestFailed): void {
    if (result.status !== 'ok') return
    const step = this.#finished
    for (const [name, value, unit] of [
      ['ttft', result.ttft_ms, 'ms'],
      ['e2e', result.e2e_ms, 'ms'],
      ['output_tokens_per_s', result.output_tokens_per_s, '1/s'],
    ] as const)
      this.#job.metric(`${name} ${target.id}`.slice(0, 128), value, { unit, step })
  }

  /** Throws `JobFailure` if no measured request succeeded: there is nothing to report except the reasons. */
  #summary(): BenchmarkSummary {
    const all = this.#matrix.cells.flatMap((cell) => this.#measured.get(cell) ?? [])
    const failures = all.flatMap(({ result }) => (result.status === 'failed' ? [result] : []))
    const [first] = failures
    if (first && failures.length === all.length) {
      throw new JobFailure(
        failures.every(({ code }) => code === 'timeout') ? 'timeout' : 'endpoint_error',
        `No request succeeded. ${countsOf(failures)}. ${first.model}: ${first.error}`,
      )
    }
    const cells = this.#matrix.cells.map((cell) =>
      cell.skipped === undefined ? summariseCell(cell, this.#measured.get(cell) ?? []) : skippedOf(cell, cell.skipped),
    )
    return summarise(cells, all)
  }
}

function measuredOf({ target, tier }: Cell, run: number, outcome: Outcome): Measured {
  const { sentAt, endedAt } = outcome
  const where = { model: target.id, context_tier: tier, run }
  if ('failure' in outcome) {
    const result: RequestFailed = { ...where, status: 'failed', ...outcome.failure, elapsed_ms: rounded(endedAt - sentAt) }
    return { result, gaps: [], sentAt, endedAt }
  }
  const { timeline } = outcome
  const result: RequestOk = { ...where, status: 'ok', ...measure(timeline, target.prices) }
  return { result, gaps: gapsOf(timeline.contentAt), sentAt, endedAt }
}

/** The count of each reason, as in `6 rate_limited, 3 timeout`. */
function countsOf(failures: readonly RequestFailed[]): string {
  const codes = new Set(failures.map(({ code }) => code))
  return [...codes].map((code) => `${failures.filter((failure) => failure.code === code).length} ${code}`).join(', ')
}
