/** A number that the search may choose, from `min` to `max`. With a `step` only the values min + k·step up to `max`. */
export interface Variable {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly step?: number
}

/** A metric of a run to minimise or maximise. */
export interface Objective {
  readonly metric: string
  readonly direction: 'minimize' | 'maximize'
}

/** A limit for a metric of a run. `within_percent`: at most `tolerance_pct` % (default 0) away from `value`. */
export interface Constraint {
  readonly metric: string
  readonly operator: '<=' | '>=' | 'within_percent'
  readonly value: number
  readonly tolerance_pct?: number
}

/**
 * The problem of a search. It has at least one variable and one objective, and `min` ≤ `max`: the caller has validated
 * that.
 */
export interface Problem {
  readonly variables: readonly Variable[]
  readonly objectives: readonly Objective[]
  readonly constraints: readonly Constraint[]
}

/** The plan of a search: `generations` times `population` points, both integers from 1 on. */
export interface Search {
  /** `nsga2` learns from each generation; `sweep` covers the space with one Latin hypercube, `random` at random. */
  readonly strategy: 'nsga2' | 'sweep' | 'random'
  readonly population: number
  readonly generations: number
  /** An integer of which the low 32 bits count. The same seed gives the same points and the same front. */
  readonly seed: number
  /** Whether `nsga2` ends early when the front has ceased to grow. Default: true. */
  readonly plateau?: boolean
}

/** The result of a run: its metrics by name, or why there are none. */
export type Outcome = { readonly metrics: Readonly<Record<string, number>> } | { readonly failure: string }

/** An evaluated point, with the values that selection compares. */
export interface Individual {
  /** Index of the candidate, unique in the whole search. */
  readonly index: number
  /** Values of the variables, in their order. */
  readonly point: readonly number[]
  /**
   * In the order of the problem, with the sign of a maximised one changed: smaller is better. Null if one is missing.
   */
  readonly objectives: readonly number[] | null
  /** Sum of the relative excess over all constraints; 0 if all hold; null if it or an objective is unknown. */
  readonly violation: number | null
}

/** A judged point. */
export interface Evaluation extends Individual {
  /** The finite metrics of the run. */
  readonly metrics: Readonly<Record<string, number>>
  /** Whether all required metrics exist and every constraint holds. */
  readonly feasible: boolean
  /** Which metric is missing, in words; only if one is. */
  readonly reason?: string
}

/** A feasible point of the front. */
export interface Member {
  readonly index: number
  readonly point: readonly number[]
  readonly objectives: readonly number[]
  /** The metrics that objectives and constraints name. */
  readonly metrics: Readonly<Record<string, number>>
}
