import type { Static, TObject } from 'typebox'
import { BenchmarkInput } from '../kinds/benchmark/input.js'
import type { BenchmarkSummary } from '../kinds/benchmark/result.js'
import { optimizationEvents, optimizationSnapshot } from '../kinds/optimization/events.js'
import { OptimizationInput, optimizationInputFaults } from '../kinds/optimization/input.js'
import { BUILT_IN_SOLVER, HornInput, hornInputFaults } from '../kinds/run/input.js'
import { RUN_PHASES } from '../protocol/run-messages.js'
import type { JobState } from './job-state.js'
import type { Lifecycle } from './lifecycle.js'
import { processEvents } from './process-events.js'
import { runEvents, runSnapshot } from './run-events.js'

/** What is known of every kind of job, and, of those with the run dialect, how it is addressed in it. */
export interface Kind {
  /** Names the job where it is addressed by its kind. */
  readonly idField: string
  /** Names the kind in the process dialect. */
  readonly processType: string
  /** Place in the REST interface of a kind with the run dialect; null for one that speaks the process dialect alone. */
  readonly path: string | null
  /** Its own solvers; the first one where a submit names none. Others may be configured for a kind that has any. */
  readonly solvers: readonly string[]
  /** Automatic tries of one round. */
  readonly attempts: number
  /** How long a round may take where its submit does not say, in seconds; null where a setting says it. */
  readonly timeoutS: number | null
  readonly input: TObject
  /**
   * Whether no worker holds it while it runs: it is made of other jobs, and goes on by a step whenever one of them has ended. Any other is computed by one
   * worker from its start to its end.
   */
  readonly inSteps: boolean
  /** Faults of an input that its schema cannot say: each with the path of its field and what is expected there. `solvers`: those that are configured. */
  inputFaults(input: unknown, solvers: readonly string[]): readonly { path: string; expected: string }[]
  readonly events: Lifecycle
}

/**
 * THE table of job kinds. A new kind is one entry here; the compiler then asks for its processor, and routes, queues and documents derive. `addKind` adds
 * rows at run time, so whoever goes through the table does it when it is built or asked, never when it is imported.
 */
export const KINDS = {
  run: {
    idField: 'run_id',
    processType: 'solver',
    path: 'runs',
    phases: RUN_PHASES,
    solvers: [BUILT_IN_SOLVER],
    input: HornInput,
    inputFaults: hornInputFaults,
    inSteps: false,
    attempts: 3,
    timeoutS: null,
    events: runEvents,
    snapshot: runSnapshot,
  },
  optimization: {
    idField: 'optimization_id',
    processType: 'optimization',
    path: 'optimizations',
    solvers: [],
    input: OptimizationInput,
    inputFaults: optimizationInputFaults,
    inSteps: true,
    attempts: 1,
    timeoutS: null,
    events: optimizationEvents,
    snapshot: optimizationSnapshot,
  },
  benchmark: {
    idField: 'process_id',
    processType: 'benchmark',
    path: null,
    solvers: [],
    input: BenchmarkInput,
    inputFaults: () => [],
    inSteps: false,
    attempts: 2,
    timeoutS: null,
    events: processEvents('benchmark'),
  },
} as const satisfies Record<string, Kind & Record<string, unknown>>

export type KindName = keyof typeof KINDS
export type InputOf<K extends KindName> = Static<(typeof KINDS)[K]['input']>

/** The kinds that one worker computes from start to end: those that have a processor. */
export type ComputedKindName = { [K in KindName]: (typeof KINDS)[K]['inSteps'] extends true ? never : K }[KindName]

export type PhaseOf<K extends 'run'> = (typeof KINDS)[K]['phases'][number]

/** What a processor returns, by kind: what the final message says, beside `compute_time_s`. */
export interface Results {
  run: { metrics_summary: Record<string, number> }
  benchmark: BenchmarkSummary
}
export type ResultOf<K extends ComputedKindName> = Results[K]

const BUILT_IN = Object.keys(KINDS) as KindName[]
const names = [...BUILT_IN]
/** Live: it grows with `addKind`. */
export const KIND_NAMES: readonly KindName[] = names

/** The kinds that speak the run dialect: they have sockets, and a place in the REST interface, of their own. */
export type RunKindName = { [K in KindName]: (typeof KINDS)[K]['path'] extends string ? K : never }[KindName]
const runNames = names.filter(isRunKind)
/** Live, too. */
export const RUN_KIND_NAMES: readonly RunKindName[] = runNames

/** A row that is added, with its snapshot where its kind speaks the run dialect. */
export type AddedKind = Kind & { snapshot?(state: JobState): Readonly<Record<string, unknown>> }

/** Adds a row. From then on the kind is like any other to whoever is built; the caller has seen that none of its names is taken. */
export function addKind(name: string, row: AddedKind): void {
  const rows: Record<string, AddedKind> = KINDS as object as Record<string, AddedKind> // each row is a `Kind`
  rows[name] = row
  const kind = name as KindName // the table has it now
  names.push(kind)
  if (isRunKind(kind)) runNames.push(kind)
}

/** Those that were added and speak the process dialect alone: they share one place where they are submitted. */
export function addedProcessKinds(): readonly KindName[] {
  return KIND_NAMES.filter((kind) => !isRunKind(kind) && !BUILT_IN.includes(kind))
}

export function isKindName(text: string): text is KindName {
  return (KIND_NAMES as readonly string[]).includes(text)
}

export function isRunKind(kind: KindName): kind is RunKindName {
  return KINDS[kind].path !== null
}

/** The built-in ones that have a processor. */
export const COMPUTED_KIND_NAMES = BUILT_IN.filter(isComputedKind)

/** The queue of the workers that can compute a job: one a kind, and one for each solver that is not built in. */
export function queueOf({ kind, solver }: { readonly kind: KindName; readonly solver: string | null }): string {
  return solver === null ? kind : `${kind}.${solver}`
}

export function isComputedKind(kind: KindName): kind is ComputedKindName {
  return !KINDS[kind].inSteps
}

/** The events of every kind's life, for whoever does not care which kind it is. */
export function lifecycleOf(kind: KindName): Lifecycle {
  return KINDS[kind].events
}
