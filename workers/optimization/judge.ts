import type { Constraint, Evaluation, Member, Outcome, Problem } from './problem.js'

/**
 * Evaluates the result of the run at a point. A missing metric is never replaced by a number: such a point is
 * infeasible, with a reason.
 */
export function judge(problem: Problem, index: number, point: readonly number[], outcome: Outcome): Evaluation {
  if ('failure' in outcome) {
    const reason = `the run failed: ${outcome.failure}`
    return { index, point, metrics: {}, objectives: null, violation: null, feasible: false, reason }
  }
  // Plus 0: JSON has no −0, and an evaluation must be the same before and after.
  const finite = Object.entries(outcome.metrics).filter(([, value]) => Number.isFinite(value))
  const known = new Map(finite.map(([name, value]) => [name, value + 0]))
  const objectives = problem.objectives.map(({ metric, direction }) => minimised(known.get(metric), direction))
  const excesses = problem.constraints.map((constraint) => excessOf(constraint, known.get(constraint.metric)))
  const lacking = metricsOf(problem).find((metric) => !known.has(metric))
  const isComplete = lacking === undefined
  const violation = isComplete ? Math.min(sum(excesses.filter(isKnown)), Number.MAX_VALUE) : null
  return {
    index,
    point,
    metrics: Object.fromEntries(known),
    objectives: objectives.every(isKnown) ? objectives : null,
    violation,
    feasible: violation === 0,
    ...(!isComplete && { reason: `metric ${lacking} is ${Object.hasOwn(outcome.metrics, lacking) ? 'not finite' : 'missing'}` }),
  }
}

/**
 * The feasible point as a member of a front, with those of its metrics that the problem names. Undefined for an
 * infeasible point.
 */
export function memberOf(problem: Problem, { index, point, objectives, feasible, metrics }: Evaluation): Member | undefined {
  return feasible && objectives ? { index, point, objectives, metrics: named(problem, metrics) } : undefined
}

/** The evaluation with only those metrics that the problem names: a run may have many more. */
export function trimmed(problem: Problem, evaluation: Evaluation): Evaluation {
  return { ...evaluation, metrics: named(problem, evaluation.metrics) }
}

function named(problem: Problem, metrics: Readonly<Record<string, number>>): Record<string, number> {
  const names = new Set(metricsOf(problem))
  return Object.fromEntries(Object.entries(metrics).filter(([name]) => names.has(name)))
}

function metricsOf({ objectives, constraints }: Problem): string[] {
  return [...objectives, ...constraints].map(({ metric }) => metric)
}

function minimised(value: number | undefined, direction: 'minimize' | 'maximize'): number | undefined {
  // 0 − 0 is 0, where −(0) would be −0.
  return value !== undefined && direction === 'maximize' ? 0 - value : value
}

/** The relative excess over a constraint, or the absolute excess if its value is 0. 0 if the constraint holds. */
function excessOf({ operator, value, tolerance_pct = 0 }: Constraint, measured: number | undefined): number | undefined {
  if (measured === undefined) return undefined
  const relative = (measured - value) / (value === 0 ? 1 : Math.abs(value))
  switch (operator) {
    case '<=':
      return Math.max(0, relative)
    case '>=':
      return Math.max(0, -relative)
    case 'within_percent':
      return Math.max(0, Math.abs(relative) - tolerance_pct / 100)
  }
}

function isKnown(value: number | undefined): value is number {
  return value !== undefined
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
