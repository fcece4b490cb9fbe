/** A number that the search may choose, from `min` to `max`. With a `step` only the values min + k·step that are at most `max`. */
export interface Variable {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly step?: number
}

/** A metric of a run that is to be as small, or as large, as can be. */
export interface Objective {
  readonly metric: string
  readonly direction: 'minimize' | 'maximize'
}

/** What a metric of a run has to keep to; `within_percent`: at most `tolerance_pct` % (0 where it is absent) away from `value`. */
export interface Constraint {
  readonly metric: string
  readonly operator: '<=' | '>=' | 'within_percent'
  readonly value: number
  readonly tolerance_pct?: number
}

/** What is searched for. It has a variable and an objective at least, and `min` ≤ `max`: who takes it from a user has seen to that. */
export interface Problem {
  readonly variables: readonly Variable[]
  readonly objectives: readonly Objective[]
  readonly constraints: readonly Constraint[]
}

/** How it is searched: `generations` times `population` points, whole numbers from 1 on. */
export interface Search {
  /** `nsga2` learns from each generation; `sweep` covers the space with one Latin hypercube, `random` at random. */
  readonly strategy: 'nsga2' | 'sweep' | 'random'
  readonly population: number
  readonly generations: number
  /** A whole number, of which the low 32 bits count. The same seed gives the same points and the same front. */
  readonly seed: number
  /** Whether `nsga2` ends early when the front has ceased to grow; true where it is absent. */
  readonly plateau?: boolean
}

/** What came of a run: its metrics by name, or why there are none. */
export type Outcome = { readonly metrics: Readonly<Record<string, number>> } | { readonly failure: string }

/** A point that was evaluated, with what selection looks at. */
export interface Individual {
  /** Of the candidate, unique in the whole search. */
  readonly index: number
  /** Values of the variables, in their order. */
  readonly point: readonly number[]
  /** In the order of the problem, a maximised one with its sign changed: smaller is better. Null where one is missing. */
  readonly objectives: readonly number[] | null
  /** Sum of the relative excess over all constraints, 0 where all hold; null where it, or an objective, cannot be known. */
  readonly violation: number | null
}

/** A point that was judged. */
export interface Evaluation extends Individual {
  /** The finite ones among the metrics of the run. */
  readonly metrics: Readonly<Record<string, number>>
  /** Whether everything that the problem asks for was there and every constraint holds. */
  readonly feasible: boolean
  /** Where something was not there: what, in words. */
  readonly reason?: string
}

/** A feasible point of the front. */
export interface Member {
  readonly index: number
  readonly point: readonly number[]
  readonly objectives: readonly number[]
  /** Those that objectives and constraints name. */
  readonly metrics: Readonly<Record<string, number>>
}
