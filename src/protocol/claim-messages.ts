import Type, { type Static } from 'typebox'
import { COMPUTED_KIND_NAMES, type ComputedKindName } from '../core/kinds.js'
import { BenchmarkResult, BenchmarkSummary } from '../kinds/benchmark/result.js'
import { RUN_MESSAGES, RUN_PHASES } from './run-messages.js'
import { STATUSES } from './status.js'

/** Most seconds that a claim waits for a job, and most events of one post. */
export const MAX_WAIT_S = 30
export const MAX_CLAIM_EVENTS = 64
/** Posts of one claim in a second, over all hubs: twice what transient events need at 10 a second. */
export const MAX_POSTS_PER_SECOND = 20

function event<const T extends string, P extends Record<string, Parameters<typeof Type.Array>[0]>>(type: T, fields: P) {
  return Type.Object({ type: Type.Literal(type), ...fields }, { additionalProperties: false })
}

const log = event('log', {
  line: Type.String({ maxLength: 10_000, description: 'a line of its log; the last ten are shown where the job fails' }),
})

/** The ends of an attempt: the last event of its last post. */
const ENDS = {
  failed: event('failed', {
    error: Type.String({ maxLength: 10_000 }),
    code: Type.Enum(['solver_error', 'endpoint_error', 'timeout', 'invalid_input'], { default: 'solver_error' }),
    retry: Type.Boolean({ default: false, description: 'whether another attempt may succeed' }),
  }),
  released: event('released', {}),
  cancelled: event('cancelled', {}),
}

const { metric_name, value } = RUN_MESSAGES.metric_update.properties
/** For display: the hub clamps numbers and shortens texts, and a phase that the kind does not have leaves the last one. */
const RunProgress = {
  percent: Type.Number(),
  phase: Type.String({ description: RUN_PHASES.join(', ') }),
  message: Type.String(),
}
const LooseProgress = Type.Object({
  current: Type.Number(),
  total: Type.Union([Type.Number(), Type.Null()], { description: 'null or 0: not known' }),
  detail: Type.String(),
  model: Type.Optional(Type.String()),
  phase: Type.Optional(Type.String()),
})

/** What a claimed job may be told of, by kind: the messages of its dialect, less what the hub knows itself, its log, and its ends. */
export const CLAIM_EVENTS = {
  run: {
    progress: event('progress', RunProgress),
    metric_update: event('metric_update', { metric_name, value, unit: Type.String() }),
    log,
    completed: event('completed', { metrics_summary: RUN_MESSAGES.completed.properties.metrics_summary }),
    ...ENDS,
  },
  benchmark: {
    process_progress: event('process_progress', { progress: LooseProgress }),
    process_result: event('process_result', { result: BenchmarkResult }),
    log,
    completed: event('completed', BenchmarkSummary.properties),
    ...ENDS,
  },
} as const satisfies Record<ComputedKindName, Readonly<Record<string, object>>>

type Events<K extends ComputedKindName> = K extends ComputedKindName ? (typeof CLAIM_EVENTS)[K][keyof (typeof CLAIM_EVENTS)[K]] : never
/** One event of a post, of a job of this kind. */
export type ClaimEvent<K extends ComputedKindName = ComputedKindName> = Static<Extract<Events<K>, Parameters<typeof Type.Array>[0]>>
export type ClaimEnd = ClaimEvent & { type: 'completed' | keyof typeof ENDS }

const Time = Type.String({ format: 'date-time', description: 'ISO 8601, UTC' })
const Token = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'fencing token of the claim' })
const Round = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
const Lease = Type.Number({ minimum: 0, description: 'seconds after which the claim is lost unless a post renews it; 0 once it has ended' })

export const ClaimRequest = Type.Object(
  {
    kind: Type.Enum([...COMPUTED_KIND_NAMES]),
    solver: Type.Optional(
      Type.String({ description: 'a configured solver: its runs, and no others; without it the runs of the built-in one' }),
    ),
    wait_s: Type.Number({ minimum: 0, maximum: MAX_WAIT_S, default: 0, description: 'how long to wait for a job, in seconds' }),
  },
  { additionalProperties: false },
)

/** A job that was claimed. */
export const Assignment = Type.Object({
  id: Type.String(),
  kind: Type.Enum([...COMPUTED_KIND_NAMES]),
  input: Type.Unknown(),
  round: Round,
  token: Token,
  attempt: Type.Integer({ minimum: 1 }),
  max_attempts: Type.Integer({ minimum: 1 }),
  lease_s: Lease,
  deadline: Type.Union([Time, Type.Null()], { description: 'when the time of the round runs out' }),
})
export type Assignment = Static<typeof Assignment>

const Head = {
  round: Round,
  token: Token,
  n: Type.Integer({
    minimum: 1,
    maximum: 2 ** 48,
    description: 'number of the post, from 1, rising with each; the same again is the same write',
  }),
}
/** A post as far as it can be told without the kind of its job. */
export const ClaimPost = Type.Object(
  {
    ...Head,
    events: Type.Array(Type.Object({ type: Type.String() }, { additionalProperties: true }), { maxItems: MAX_CLAIM_EVENTS }),
  },
  { additionalProperties: false },
)
export type ClaimPost = Static<typeof ClaimPost>

/** The whole of a post, as the documents show it. */
export const ClaimPostInFull = Type.Object({
  ...Head,
  events: Type.Array(Type.Union(COMPUTED_KIND_NAMES.flatMap((kind) => Object.values(CLAIM_EVENTS[kind]))), {
    maxItems: MAX_CLAIM_EVENTS,
    description: 'empty: renews the lease and nothing else. An end (completed, failed, released, cancelled) is the last one',
  }),
})

export const ClaimAnswer = Type.Object({
  status: Type.Enum([...STATUSES]),
  seq: Type.Integer({ minimum: 0, description: 'position of the last entry of this post' }),
  cancel_requested: Type.Boolean({ description: 'the job is cancelled, or out of time: stop, and end it' }),
  lease_s: Lease,
})
export type ClaimAnswer = Static<typeof ClaimAnswer>
