import { kindOf } from '../../core/define-kind.js'
import { integer, text } from '../../core/setting.js'
import { MAX_TIMEOUT_S, MIN_TIMEOUT_S } from '../../core/timeout.js'
import { processClaimEvents } from '../../protocol/claim-messages.js'
import { BenchmarkInput } from './input.js'
import { BENCHMARK_MESSAGES, BenchmarkResult, BenchmarkSummary } from './result.js'
import { benchmarkTable } from './table.js'

const settings = {
  PROVIDERS_FILE: text('JSON file with the OpenAI-compatible endpoints that benchmarks can name.', '', /^.+$/, 'a path'),
  BENCHMARK_CONCURRENCY: integer('Concurrent benchmarks per worker process; more than one distort the results of each other.', 1, 1, 64),
  BENCHMARK_TIMEOUT_S: integer(
    'Default time limit of a benchmark, from its first start, over all attempts.',
    14_400,
    MIN_TIMEOUT_S,
    MAX_TIMEOUT_S,
  ),
}

/** Measures language models over HTTP. */
export const benchmarkKind = kindOf({
  name: 'benchmark',
  dialect: 'process',
  submission: { path: '/api/benchmark', isFlat: true },
  input: BenchmarkInput,
  attempts: 2,
  timeoutS: { setting: 'BENCHMARK_TIMEOUT_S' },
  concurrency: { setting: 'BENCHMARK_CONCURRENCY' },
  settings,
  messages: BENCHMARK_MESSAGES,
  claimEvents: processClaimEvents(BenchmarkResult, BenchmarkSummary.properties),
  display: { result: benchmarkTable },
})
