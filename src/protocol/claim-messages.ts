import Type, { type Static, type TProperties, type TSchema } from 'typebox'
import { FailureFields } from './failure.js'
import { Nullable } from './json-schema.js'
import { JobStatus, Timestamp } from './life-fields.js'
import { LOG_LEVELS } from './log-messages.js'
import { RUN_MESSAGES } from './run-messages.js'

/** Longest long poll of a claim request, in seconds. */
export const MAX_WAIT_S = 30
/** Maximum events per post. */
export const MAX_CLAIM_EVENTS = 64
/** Maximum log lines of a post that are kept: an event may hold thousands of short ones. */
export const MAX_POST_LINES = 500
/** Maximum posts per second of one claim, over all hubs: twice what transient events need at 10 per second. */
export const MAX_POSTS_PER_SECOND = 20

function event<const T extends string, P extends Record<string, Parameters<typeof Type.Array>[0]>>(type: T, fields: P) {
  return Type.Object({ type: Type.Literal(type), ...fields }, { additionalProperties: false })
}

const log = event('log', {
  level: Type.Optional(Type.Enum([...LOG_LEVELS])),
  line: Type.String({ maxLength: 10_000, description: 'a line of the log; a failed job shows the last ten' }),
})

/** Events that end an attempt. One of them is the last event of the last post. */
const ENDS = {
  failed: event('failed', FailureFields),
  released: event('released', {}),
  cancelled: event('cancelled', {}),
}

const { metric_name, value, step } = RUN_MESSAGES.metric_update.properties
const LooseProgress = Type.Object({
  current: Type.Number(),
  total: Nullable(Type.Number(), { description: 'null or 0: unknown' }),
  detail: Type.String(),
  model: Type.Optional(Type.String()),
  phase: Type.Optional(Type.String()),
})

/*
 * Events that a worker may post, by type: the messages of the dialect without the fields that the hub adds, log lines,
 * and the ends of an attempt. Faults list the types in this order.
 */

/** Run dialect. The hub clamps numbers and shortens texts of `progress`; an unknown phase keeps the last one. */
export function runClaimEvents(phases: readonly string[]) {
  const progress = { percent: Type.Number(), phase: Type.String({ description: phases.join(', ') }), message: Type.String() }
  const { metrics_summary } = RUN_MESSAGES.completed.properties
  return {
    progress: event('progress', progress),
    metric_update: event('metric_update', { metric_name, value, unit: Type.String(), step }),
    log,
    completed: event('completed', { metrics_summary }),
    ...ENDS,
  } as const
}

/** Process dialect. `result`: schema of an intermediate result; `summary`: fields of the final result. */
export function processClaimEvents<R extends TSchema, P extends TProperties>(result: R, summary: P) {
  return {
    process_progress: event('process_progress', { progress: LooseProgress }),
    process_result: event('process_result', { result }),
    process_metric: event('process_metric', { metric_name, value, unit: Type.Optional(Type.String()), step }),
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
  | Static<ReturnType<typeof processClaimEvents>['process_metric']>
/** An event of a post, in either dialect. */
export type ClaimEvent = RunEvent | ProcessEvent | Ends
export type ClaimEnd = Ends

export const Token = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER, description: 'fencing token of the claim' })
export const Round = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER })
const Lease = Type.Number({ minimum: 0, description: 'seconds until the claim expires unless a post renews it; 0 if it has ended' })

/** Body of a claim request. `kinds`: names of the kinds that can be claimed. */
export function claimRequest(kinds: readonly string[]) {
  return Type.Object(
    {
      kind: Type.Enum([...kinds]),
      solver: Type.Optional(
        Type.String({ description: 'claim only jobs of this configured solver; default: those of the built-in solver' }),
      ),
      wait_s: Type.Number({ minimum: 0, maximum: MAX_WAIT_S, default: 0, description: 'maximum time to wait for a job, in seconds' }),
    },
    { title: 'ClaimRequest', additionalProperties: false, examples: kinds.slice(0, 1).map((kind) => ({ kind, wait_s: 10 })) },
  )
}

/** A claimed job of one of these kinds. */
export function assignment(kinds: readonly string[]) {
  return Type.Object(
    {
      id: Type.String(),
      kind: Type.Enum([...kinds]),
      dialect: Type.Enum(['run', 'process'], { description: 'of the events that the worker posts' }),
      input: Type.Unknown(),
      round: Round,
      token: Token,
      attempt: Type.Integer({ minimum: 1 }),
      max_attempts: Type.Integer({ minimum: 1 }),
      lease_s: Lease,
      deadline: Nullable(Timestamp, { description: 'deadline of the round' }),
      traceparent: Type.Optional(Type.String({ description: 'W3C Trace Context of the submit' })),
    },
    { title: 'Assignment' },
  )
}
export type Assignment = Static<ReturnType<typeof assignment>>

/** The lease of a job that its owner computes. `links`: as in the answer to any submit. */
export function ownedJob(kinds: readonly string[], links: TSchema) {
  return Type.Object({ ...assignment(kinds).properties, links }, { title: 'OwnedJob' })
}

const Head = {
  round: Round,
  token: Token,
  n: Type.Integer({
    minimum: 1,
    maximum: 2 ** 48,
    description: 'number of the post, from 1, rising; a repeated number is the same write',
  }),
}
/** A post, before its events are checked by the kind of the job. */
export const ClaimPost = Type.Object(
  {
    ...Head,
    events: Type.Array(Type.Object({ type: Type.String() }, { additionalProperties: true }), { maxItems: MAX_CLAIM_EVENTS }),
  },
  { additionalProperties: false },
)
export type ClaimPost = Static<typeof ClaimPost>

/** A post with the schemas of all its events, for the API reference. */
export function claimPostInFull(events: readonly TSchema[]) {
  const example = { round: 1, token: 1, n: 1, events: [{ type: 'log', line: 'step 3 of 10' }] }
  return Type.Object(
    {
      ...Head,
      events: Type.Array(Type.Union([...new Set(events)]), {
        maxItems: MAX_CLAIM_EVENTS,
        description: 'empty: only renews the lease. completed, failed, released and cancelled must be the last event',
      }),
    },
    { title: 'ClaimPost', additionalProperties: false, examples: [example] },
  )
}

export const ClaimAnswer = Type.Object(
  {
    status: JobStatus,
    seq: Type.Integer({ minimum: 0, description: 'position of the last entry that this post wrote' }),
    cancel_requested: Type.Boolean({ description: 'the job was cancelled or its deadline has passed: stop, and end it' }),
    lease_s: Lease,
  },
  { title: 'ClaimAnswer' },
)
export type ClaimAnswer = Static<typeof ClaimAnswer>
