import Type, { type Static } from 'typebox'
import { JobId } from '../../protocol/job-id.js'
import { jobMessages, Percent, Seconds, SnapshotFields, Timestamp } from '../../protocol/run-messages.js'

const Count = Type.Integer({ minimum: 0 })
const Numbers = Type.Record(Type.String(), Type.Number())
const messages = jobMessages('optimization_id', ['evaluating'])

/** A point of the front, with the run that found it. */
export const FrontPoint = Type.Object({
  iteration: Type.Integer({ minimum: 1 }),
  run_id: JobId,
  parameters: Numbers,
  metrics: Numbers,
})
export type FrontPoint = Static<typeof FrontPoint>

const Front = {
  size: Count,
  points: Type.Array(FrontPoint, { description: 'all of them, unless they are more than one message may hold: then some in their order' }),
  best: Type.Union([FrontPoint, Type.Null()], {
    description: 'of one objective the best; of more the nearest to the best of each, in the range of the front',
  }),
}

/** Rides on final messages. */
const Reached = { evaluated: Type.Optional(Count), total: Type.Optional(Count) }

/** Run dialect of an optimization, hub to client: `optimization_iteration` with the fields of the user's specification, and ours. */
export const OPTIMIZATION_MESSAGES = {
  ...messages,
  completed: Type.Object({
    ...messages.completed.properties,
    ...Reached,
    best: Front.best,
    stopped: Type.Enum(['done', 'plateau'], { description: 'all generations were evaluated, or the front had ceased to grow' }),
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
    evaluated: Count,
    total: Count,
    timestamp: Timestamp,
  }),
  optimization_iteration: Type.Object({
    type: Type.Literal('optimization_iteration'),
    optimization_id: JobId,
    iteration: Type.Integer({ minimum: 1, description: 'evaluations so far, this one with them' }),
    run_id: JobId,
    parameters: Numbers,
    metrics: Numbers,
    feasible: Type.Boolean(),
    pareto_updated: Type.Boolean(),
    generation: Type.Integer({ minimum: 1 }),
    total: Count,
    violation: Type.Union([Type.Number({ minimum: 0 }), Type.Null()], {
      description: 'by how much constraints are missed, relative; null: not known',
    }),
    reason: Type.Optional(Type.String({ description: 'why nothing is known of this point' })),
    counters: Type.Object({ feasible: Count, failed: Count }),
    timestamp: Timestamp,
  }),
  pareto_front: Type.Object({
    type: Type.Literal('pareto_front'),
    optimization_id: JobId,
    iteration: Type.Integer({ minimum: 1, description: 'after which the front is this' }),
    ...Front,
    timestamp: Timestamp,
  }),
} as const

export type OptimizationMessages = { [T in keyof typeof OPTIMIZATION_MESSAGES]: Static<(typeof OPTIMIZATION_MESSAGES)[T]> }

/** The snapshot of an optimization: that of any job, with what has been found so far. */
export const OptimizationSnapshot = Type.Object({
  type: Type.Literal('status'),
  optimization_id: JobId,
  ...SnapshotFields,
  counters: Type.Object({ evaluated: Count, total: Type.Union([Count, Type.Null()]), generation: Count, feasible: Count, failed: Count }),
  front: Type.Array(FrontPoint),
  best: Type.Union([FrontPoint, Type.Null()]),
})
export type OptimizationSnapshot = Static<typeof OptimizationSnapshot>
