import Type, { type Static, type TProperties, type TSchema } from 'typebox'
import { RUN_MESSAGES } from './run-messages.js'
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
const LooseProgress = Type.Object({
  current: Type.Number(),
  total: Type.Union([Type.Number(), Type.Null()], { description: 'null or 0: not known' }),
  detail: Type.String(),
  model: Type.Optional(Type.String()),
  phase: Type.Optional(Type.String()),
})

/*
 * What may be posted of a claimed job: the messages of its dialect, less what the hub knows itself, its log, and its ends. By type of event, in the order in
 * which faults name them.
 */

/** In the run dialect. For display the hub clamps numbers and shortens texts, and a phase that the kind does not have leaves the last one. */
export function runClaimEvents(phases: readonly string[]) {
  const progress = { percent: Type.Number(), phase: Type.String({ description: phases.join(', ') }), message: Type.String() }
  const { metrics_summary } = RUN_MESSAGES.completed.properties
  return {
    progress: event('progress', progress),
    metric_update: event('metric_update', { metric_name, value, unit: Type.String() }),
    log,
    completed: event('completed', { metrics_summary }),
    ...ENDS,
  } as const
}

/** In the process dialect: `result` on the way, and the fields of the last one. */
export function processClaimEvents<R extends TSchema, P extends TProperties>(result: R, summary: P) {
  return {
    process_progress: event('process_progress', { progress: LooseProgress }),
    process_result: event('process_result', { result }),
    log,
    completed: Type.Object({ type: Type.Literal('completed'), ...summary }, { additionalProperties: false }),
    ...ENDS,
  } as const
}

type Ends = Static<(typeof ENDS)[keyof typeof ENDS]> | ({ readonly type: 'completed' } & Readonly<Record<string, unknown>>)
type RunEvent = Static<ReturnType<typeof runClaimEvents>['progress' | 'metric_update' | 'log']>
type ProcessEvent =
  | { readonly type: 'process_progress'; readonly progress: Static<typeof LooseProgress> }
  | { readonly type: 'process_result'; readonly result: unknown }
/** One event of a post, in either dialect. */
export type ClaimEvent = RunEvent | ProcessEvent | Ends
export type ClaimEnd = Ends

const Time = Type.String({ format: 'date-time', description: 'ISO 8601, UTC' })
const Token = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'fencing token of the claim' })
const Round = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
const Lease = Type.Number({ minimum: 0, description: 'seconds after which the claim is lost unless a post renews it; 0 once it has ended' })

/** `kinds`: names of those that may be claimed. */
export function claimRequest(kinds: readonly string[]) {
  return Type.Object(
    {
      kind: Type.Enum([...kinds]),
      solver: Type.Optional(
        Type.String({ description: 'a configured solver: its runs, and no others; without it the runs of the built-in one' }),
      ),
      wait_s: Type.Number({ minimum: 0, maximum: MAX_WAIT_S, default: 0, description: 'how long to wait for a job, in seconds' }),
    },
    { additionalProperties: false },
  )
}

/** A job that was claimed, of one of these kinds. */
export function assignment(kinds: readonly string[]) {
  return Type.Object({
    id: Type.String(),
    kind: Type.Enum([...kinds]),
    input: Type.Unknown(),
    round: Round,
    token: Token,
    attempt: Type.Integer({ minimum: 1 }),
    max_attempts: Type.Integer({ minimum: 1 }),
    lease_s: Lease,
    deadline: Type.Union([Time, Type.Null()], { description: 'when the time of the round runs out' }),
  })
}
export type Assignment = Static<ReturnType<typeof assignment>>

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

/** The whole of a post, as the documents show it, of all these events. */
export function claimPostInFull(events: readonly TSchema[]) {
  return Type.Object({
    ...Head,
    events: Type.Array(Type.Union([...events]), {
      maxItems: MAX_CLAIM_EVENTS,
      description: 'empty: renews the lease and nothing else. An end (completed, failed, released, cancelled) is the last one',
    }),
  })
}

export const ClaimAnswer = Type.Object({
  status: Type.Enum([...STATUSES]),
  seq: Type.Integer({ minimum: 0, description: 'position of the last entry of this post' }),
  cancel_requested: Type.Boolean({ description: 'the job is cancelled, or out of time: stop, and end it' }),
  lease_s: Lease,
})
export type ClaimAnswer = Static<typeof ClaimAnswer>
