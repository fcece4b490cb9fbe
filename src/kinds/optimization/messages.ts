import Type, { type Static } from 'typebox'
import { JobId } from '../../protocol/job-id.js'
import { Nullable } from '../../protocol/json-schema.js'
import { EtaSeconds, StepSeconds, Timestamp } from '../../protocol/life-fields.js'
import { jobMessages, Percent, Seconds, SnapshotFields } from '../../protocol/run-messages.js'

const Count = Type.Integer({ minimum: 0 })
const Numbers = Type.Record(Type.String(), Type.Number())
const messages = jobMessages('optimization_id', ['evaluating'])

/** A point of the front, with the run that evaluated it. */
export const FrontPoint = Type.Object(
  {
    iteration: Type.Integer({ minimum: 1 }),
    run_id: JobId,
    parameters: Numbers,
    metrics: Numbers,
  },
  { title: 'FrontPoint' },
)
export type FrontPoint = Static<typeof FrontPoint>

const Front = {
  size: Count,
  points: Type.Array(FrontPoint, { description: 'all points, or an ordered selection if they exceed the size of a message' }),
  best: Nullable(FrontPoint, {
    description: 'with one objective the best point; with several the point nearest to the ideal point, scaled by the range of the front',
  }),
}

/** Fields of final messages. */
const Reached = { evaluated: Type.Optional(Count), total: Type.Optional(Count) }

/** Messages of an optimization, hub to client, in the run dialect. */
export const OPTIMIZATION_MESSAGES = {
  ...messages,
  completed: Type.Object({
    ...messages.completed.properties,
    ...Reached,
    best: Front.best,
    stopped: Type.Enum(['done', 'plateau'], { description: 'done: all generations were evaluated; plateau: the front stopped improving' }),
  }),
  error: Type.Object({ ...messages.error.properties, ...Reached }),
  cancelled: Type.Object({ ...messages.cancelled.properties, ...Reached }),
  progress: Type.Object({
    type: Type.Literal('progress'),
    optimization_id: JobId,
    percent: Percent,
    phase: Type.Literal('evaluating'),
    message: Type.String({ maxLength: 1000 }),
    elapsed_s: Seconds,
    eta_s: EtaSeconds,
    step_s: StepSeconds,
    evaluated: Count,
    total: Count,
    timestamp: Timestamp,
  }),
  optimization_iteration: Type.Object({
    type: Type.Literal('optimization_iteration'),
    optimization_id: JobId,
    iteration: Type.Integer({ minimum: 1, description: 'number of evaluations so far, including this one' }),
    run_id: JobId,
    parameters: Numbers,
    metrics: Numbers,
    feasible: Type.Boolean(),
    pareto_updated: Type.Boolean(),
    generation: Type.Integer({ minimum: 1 }),
    total: Count,
    violation: Nullable(Type.Number({ minimum: 0 }), {
      description: 'relative violation of the constraints; null: unknown',
    }),
    reason: Type.Optional(Type.String({ description: 'why the point has no result' })),
    counters: Type.Object({ feasible: Count, failed: Count }),
    timestamp: Timestamp,
  }),
  pareto_front: Type.Object({
    type: Type.Literal('pareto_front'),
    optimization_id: JobId,
    iteration: Type.Integer({ minimum: 1, description: 'the iteration that led to this front' }),
    ...Front,
    timestamp: Timestamp,
  }),
} as const

export type OptimizationMessages = { [T in keyof typeof OPTIMIZATION_MESSAGES]: Static<(typeof OPTIMIZATION_MESSAGES)[T]> }

/** What the search has found so far. */
export const SnapshotExtras = {
  counters: Type.Object({ evaluated: Count, total: Nullable(Count), generation: Count, feasible: Count, failed: Count }),
  front: Type.Array(FrontPoint),
  best: Nullable(FrontPoint),
}

/** The snapshot of an optimization: that of a job, with counters, front and best point. */
export const OptimizationSnapshot = Type.Object({
  type: Type.Literal('status'),
  optimization_id: JobId,
  ...SnapshotFields,
  ...SnapshotExtras,
})
export type OptimizationSnapshot = Static<typeof OptimizationSnapshot>
