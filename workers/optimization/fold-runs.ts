import { secondsSinceStart } from '../../src/core/elapsed.js'
import type { JobEvent } from '../../src/core/entry.js'
import { messageOf, timestampOf } from '../../src/core/entry.js'
import { Eta } from '../../src/core/eta.js'
import type { JobState } from '../../src/core/job-state.js'
import { metricPoint } from '../../src/core/metric-point.js'
import { pointTelemetry, type SeriesTelemetry } from '../../src/core/series-telemetry.js'
import { optimizationEvents } from '../../src/kinds/optimization/events.js'
import type { OptimizationInput } from '../../src/kinds/optimization/input.js'
import type { OptimizationMessages } from '../../src/kinds/optimization/messages.js'
import { frontEvent } from './front.js'
import type { Ledger } from './ledger.js'
import { type Fold, fold, parametersOf } from './optimizer.js'
import type { Outcome } from './problem.js'

/** Minimum time between two publications of the front, in ms. */
export const FRONT_INTERVAL_MS = 1000

/** A run of an optimization that has ended. */
export interface EndedRun {
  readonly index: number
  readonly run_id: string
  readonly outcome: Outcome
}

/** The current state of an optimization. */
export interface Whole {
  readonly state: JobState
  readonly input: OptimizationInput
  readonly ledger: Ledger
}

/** The time of publication (epoch ms), and the maximum bytes of a front in one event. */
export interface Publication {
  readonly now: number
  readonly maxFrontBytes: number
}

/** The result of a step: the new state of the optimization, and the events and points of metrics to publish. */
export interface Advance {
  readonly ledger: Ledger
  readonly events: readonly JobEvent[]
  readonly points: readonly SeriesTelemetry[]
}

/** Adds runs that have ended; each is one iteration. Pure. A run that the ledger does not wait for is left out. */
export function foldRuns(
  { state, input, ledger: before }: Whole,
  ended: readonly EndedRun[],
  { now, maxFrontBytes }: Publication,
): Advance {
  let ledger = before
  const events: JobEvent[] = []
  const points: SeriesTelemetry[] = []
  for (const run of ended) {
    const folded = fold(input, input, ledger.search, run.index, run.outcome)
    if (!folded || ledger.open[run.index] !== run.run_id) continue
    ledger = next(ledger, run, folded)
    events.push(iterationEvent(state.id, input, ledger, run, folded))
    const { evaluated: step } = ledger
    if (folded.paretoUpdated) points.push(...bestPoints(input, ledger))
    if (folded.hypervolume === null) continue
    const point = metricPoint('hypervolume', folded.hypervolume, { step })
    events.push(optimizationEvents.metric(state.id, point.name, point.value, point.unit, point.step))
    points.push(pointTelemetry(point, step))
  }
  if (events.length === 0) return { ledger, events, points }
  const eta = etaAfter(state, ledger, now)
  const eta_s = eta.after(ledger.evaluated / totalOf(input), secondsSinceStart(state, now))
  ledger = { ...ledger, eta: eta.state }
  events.push(progressEvent(state, input, ledger, now, { eta_s, step_s: eta.stepSeconds }))
  return { ...publishFront({ state, input, ledger }, events, { now, maxFrontBytes }), points }
}

/** The best feasible value so far of each objective, as points of a curve by the number of evaluations. */
function bestPoints({ objectives }: OptimizationInput, { search, evaluated: step }: Ledger): SeriesTelemetry[] {
  return objectives.flatMap(({ metric, direction }) => {
    const values = search.archive.flatMap(({ metrics }) => metrics[metric] ?? [])
    if (values.length === 0) return []
    const best = direction === 'minimize' ? Math.min(...values) : Math.max(...values)
    // A name of a metric may be as long as that of a curve.
    return [pointTelemetry(metricPoint(`best ${metric}`.slice(0, 128), best, { step }), step)]
  })
}

/** Publishes the front as well, if it has changed and is due, or the search is over. */
export function publishFront({ state, input, ledger }: Whole, events: readonly JobEvent[], { now, maxFrontBytes }: Publication): Advance {
  const { hasChanged, toldAt } = ledger.front
  const isDue = now - toldAt >= FRONT_INTERVAL_MS || ledger.search.end !== null
  if (!hasChanged || !isDue) return { ledger, events, points: [] }
  const published = { ...ledger, front: { toldAt: now, hasChanged: false } }
  return { ledger: published, events: [...events, frontEvent(state.id, input, ledger, maxFrontBytes)], points: [] }
}

function next(ledger: Ledger, { index, run_id, outcome }: EndedRun, { checkpoint, evaluation, paretoUpdated }: Fold): Ledger {
  const iteration = ledger.evaluated + 1
  const { [index]: _ended, ...open } = ledger.open
  // Until a generation is complete, any of its points may still enter the front.
  const members = new Set([...checkpoint.archive, ...checkpoint.evicted].map((member) => member.index))
  const firstOpen = checkpoint.end ? Number.POSITIVE_INFINITY : checkpoint.generation * checkpoint.points.length
  const known: [string, Ledger['found'][string]][] = Object.entries({ ...ledger.found, [index]: { iteration, run_id } })
  const found = Object.fromEntries(known.filter(([point]) => members.has(Number(point)) || Number(point) >= firstOpen))
  return {
    ...ledger,
    search: checkpoint,
    evaluated: iteration,
    feasible: ledger.feasible + (evaluation.feasible ? 1 : 0),
    failed: ledger.failed + ('failure' in outcome || evaluation.reason !== undefined ? 1 : 0),
    open,
    leaving: [...ledger.leaving, run_id],
    found,
    front: { ...ledger.front, hasChanged: ledger.front.hasChanged || paretoUpdated },
  }
}

function iterationEvent(id: string, input: OptimizationInput, ledger: Ledger, { index, run_id }: EndedRun, folded: Fold): JobEvent {
  const { point, metrics, feasible, violation, reason } = folded.evaluation
  return optimizationEvents.iteration(id, {
    iteration: ledger.evaluated,
    run_id,
    parameters: parametersOf(input, point),
    metrics,
    feasible,
    pareto_updated: folded.paretoUpdated,
    generation: Math.floor(index / input.population) + 1,
    total: totalOf(input),
    violation,
    ...(reason !== undefined && { reason }),
    counters: { feasible: ledger.feasible, failed: ledger.failed },
  })
}

/** Publishes why an optimization submits nothing. Null if the last progress says so already. */
export function waitEvent({ state, input, ledger }: Whole, why: string, now: number): JobEvent | null {
  const message = `Waiting. ${why}`
  const last = state.latest.get('progress')
  // the dialect of this kind
  if (last && (messageOf(last) as OptimizationMessages['progress']).message === message) return null
  return progressEvent(state, input, ledger, now, { message })
}

/** The time before the last start or resume does not count. */
function etaAfter(state: JobState, { eta: known }: Ledger, now: number): Eta {
  const eta = new Eta(known ?? 0)
  const status = state.latest.get('status')
  if (status) eta.skipTo(Math.min(secondsSinceStart(state, Date.parse(timestampOf(status))), secondsSinceStart(state, now)))
  return eta
}

function progressEvent(
  state: JobState,
  input: OptimizationInput,
  { evaluated }: Ledger,
  now: number,
  { message, eta_s = null, step_s = null }: { readonly message?: string; readonly eta_s?: number | null; readonly step_s?: number | null },
): JobEvent {
  const { id } = state
  const total = totalOf(input)
  const generation = Math.min(Math.floor(evaluated / input.population) + 1, input.generations)
  return optimizationEvents.progress(id, {
    // Only the final event has 100.
    percent: Math.min(Math.round((1000 * evaluated) / total) / 10, 99.9),
    phase: 'evaluating',
    message: message ?? `${evaluated} of ${total} points, generation ${generation} of ${input.generations}`,
    elapsed_s: secondsSinceStart(state, now),
    eta_s,
    step_s,
    evaluated,
    total,
  })
}

export function totalOf({ population, generations }: OptimizationInput): number {
  return population * generations
}
