import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { Nullable } from '../../protocol/json-schema.js'
import { PROCESS_MESSAGES } from '../../protocol/process-messages.js'

/**
 * Why a request failed. `timeout`: not complete within `timeout_s`. `rate_limited`: 429. `unauthorized`: 401.
 * `forbidden`: 403. `not_found`: 404. `rejected`: any other 4xx. `server_error`: 5xx. `unreachable`: no response.
 * `stream_cut`: the stream ended too early. `stream_error`: the endpoint reported an error in the stream. `empty`: no
 * token. `bad_answer`: the response cannot be parsed.
 */
export const REQUEST_FAILURES = [
  'timeout',
  'rate_limited',
  'unauthorized',
  'forbidden',
  'not_found',
  'rejected',
  'server_error',
  'unreachable',
  'stream_cut',
  'stream_error',
  'empty',
  'bad_answer',
] as const
export type RequestFailureCode = (typeof REQUEST_FAILURES)[number]

const Count = Type.Integer({ minimum: 0 })
const Amount = Type.Number({ minimum: 0 })
const Ms = (description: string) => Type.Number({ minimum: 0, description: `${description}, in ms` })

/**
 * Statistics of `n` values. Percentiles are interpolated linearly between ranks, and omitted with too few values: p90
 * below 10, p95 below 20, p99 below 100.
 */
export const Distribution = Type.Object(
  {
    n: Type.Integer({ minimum: 1 }),
    mean: Amount,
    min: Amount,
    p50: Amount,
    p90: Type.Optional(Amount),
    p95: Type.Optional(Amount),
    p99: Type.Optional(Amount),
    max: Amount,
  },
  { title: 'Distribution' },
)
export type Distribution = Static<typeof Distribution>

const Cell = { model: Type.String(), context_tier: Count }

/** A successful measured request. Token counts are those of the endpoint, or flagged as estimated. */
export const RequestOk = Type.Object(
  {
    ...Cell,
    run: Type.Integer({ minimum: 1 }),
    status: Type.Literal('ok'),
    ttft_ms: Ms('from sending to the first chunk with content or reasoning'),
    e2e_ms: Ms('from sending to the last such chunk'),
    tpot_ms: Nullable(Ms('(e2e − ttft) / (output_tokens − 1); null below two tokens')),
    inter_chunk_ms: Nullable(Distribution),
    output_tokens_per_s: Amount,
    output_tokens: Count,
    prompt_tokens: Count,
    is_estimated: Type.Boolean({ description: 'true: the endpoint reported no usage; tokens are estimated as four characters each' }),
    finish_reason: Type.Enum(['stop', 'length', 'content_filter', 'other']),
    cost: Type.Optional(Amount),
  },
  { title: 'RequestOk' },
)
export type RequestOk = Static<typeof RequestOk>

/** A failed measured request. */
export const RequestFailed = Type.Object(
  {
    ...Cell,
    run: Type.Integer({ minimum: 1 }),
    status: Type.Literal('failed'),
    code: Type.Enum([...REQUEST_FAILURES]),
    error: Type.String({ maxLength: 1000 }),
    elapsed_ms: Ms('from sending to the failure'),
  },
  { title: 'RequestFailed' },
)
export type RequestFailed = Static<typeof RequestFailed>

/**
 * A context tier that exceeds the context window of the model: no request is sent, and it does not count in `total`.
 */
export const CellSkipped = Type.Object({ ...Cell, status: Type.Literal('skipped'), reason: Type.String() }, { title: 'CellSkipped' })
export type CellSkipped = Static<typeof CellSkipped>

/** Content of a `process_result`. */
export const BenchmarkResult = Type.Union([RequestOk, RequestFailed, CellSkipped], { title: 'BenchmarkResult' })
export type BenchmarkResult = Static<typeof BenchmarkResult>

/**
 * Summary of the measured requests of one model and tier. Distributions cover the successful ones; null without any.
 */
export const CellSummary = Type.Object(
  {
    ...Cell,
    status: Type.Literal('measured'),
    ok: Count,
    failed: Count,
    failures: Type.Record(Type.String(), Count),
    ttft_ms: Nullable(Distribution),
    e2e_ms: Nullable(Distribution),
    tpot_ms: Nullable(Distribution),
    inter_chunk_ms: Nullable(Distribution),
    output_tokens_per_s: Nullable(Distribution),
    output_tokens: Count,
    prompt_tokens: Count,
    is_estimated: Type.Boolean(),
    system_throughput_tokens_per_s: Amount,
    cost: Type.Optional(Amount),
  },
  { title: 'CellSummary' },
)
export type CellSummary = Static<typeof CellSummary>

/** The result of a benchmark: one cell per model and tier, in the order of the input. */
export const BenchmarkSummary = Type.Object(
  {
    total: Count,
    ok: Count,
    failed: Count,
    skipped: Type.Integer({ minimum: 0, description: 'number of cells, not of requests' }),
    output_tokens: Count,
    system_throughput_tokens_per_s: Type.Number({
      minimum: 0,
      description: 'tokens of all successful requests, per second with a measured request in progress',
    }),
    cost: Type.Optional(Amount),
    cells: Type.Array(Type.Union([CellSummary, CellSkipped])),
  },
  { title: 'BenchmarkSummary' },
)
export type BenchmarkSummary = Static<typeof BenchmarkSummary>

/** Messages of a benchmark: those of every process, with typed results. */
export const BENCHMARK_MESSAGES = {
  ...PROCESS_MESSAGES,
  process_result: Type.Object({ ...PROCESS_MESSAGES.process_result.properties, result: BenchmarkResult }),
  process_completed: Type.Object({ ...PROCESS_MESSAGES.process_completed.properties, result: BenchmarkSummary }),
}

let validator: { Check(value: unknown): boolean } | undefined

export function isBenchmarkSummary(value: unknown): value is BenchmarkSummary {
  validator ??= Compile(BenchmarkSummary)
  return validator.Check(value)
}
