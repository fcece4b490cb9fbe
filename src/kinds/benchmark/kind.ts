import { kindOf } from '../../core/define-kind.js'
import { integer, text } from '../../core/setting.js'
import { MAX_TIMEOUT_S, MIN_TIMEOUT_S } from '../../core/timeout.js'
import { processClaimEvents } from '../../protocol/claim-messages.js'
import { BenchmarkInput } from './input.js'
import { BenchmarkResult, BenchmarkSummary } from './result.js'
import { benchmarkTable } from './table.js'

const settings = {
  PROVIDERS_FILE: text('JSON file with the OpenAI-compatible endpoints that benchmarks may name.', '', /^.+$/, 'a path'),
  BENCHMARK_CONCURRENCY: integer('Benchmarks that one worker process runs at a time; two at once measure each other.', 1, 1, 64),
  BENCHMARK_TIMEOUT_S: integer('The same for a benchmark.', 14_400, MIN_TIMEOUT_S, MAX_TIMEOUT_S),
}

/** A measurement of language models over HTTP. */
export const benchmarkKind = kindOf({
  name: 'benchmark',
  dialect: 'process',
  submission: { path: '/api/benchmark', isFlat: true },
  input: BenchmarkInput,
  attempts: 2,
  timeoutS: { setting: 'BENCHMARK_TIMEOUT_S' },
  concurrency: { setting: 'BENCHMARK_CONCURRENCY' },
  settings,
  claimEvents: processClaimEvents(BenchmarkResult, BenchmarkSummary.properties),
  display: { result: benchmarkTable },
})
