import type { Config } from '../config/config.js'
import type { Solver } from '../config/solver.js'
import type { DefinedKind } from '../core/define-kind.js'
import type { Kind, KindDialect } from '../core/kind.js'
import type { Finalizer } from '../jobs/finalize.js'
import type { JobService } from '../jobs/job-service.js'
import type { AnyProcessor, Processor } from './processor.js'

type Environment = Readonly<Record<string, string | undefined>>

/** What is at hand when the worker of a kind starts. */
export interface StartContext {
  readonly config: Config
  /** The environment of this process, such as for keys. */
  readonly env: Environment
}

/** What the steps of a kind are done with. */
export interface StepContext extends Finalizer {
  readonly jobs: JobService
  /** Largest message of a job. */
  readonly maxEventBytes: number
  /** A job can do nothing now, and why. Called by each step that finds it so; logged where it is news. */
  readonly onWait: (id: string, why: string) => void
}

/** A program as a solver is one: it gets the input as JSON on its stdin, and writes events to its stdout. */
export type Program = Pick<Solver, 'command'> & Partial<Pick<Solver, 'args' | 'cwd' | 'env'>>

/** What computes, ready to. */
export interface Ready<P extends AnyProcessor> {
  readonly run: P
  /** After the last job has ended. */
  close?(): Promise<void>
}

/**
 * How the jobs of a kind are computed, by one of these. `run`: a function in the event loop of the worker, for what waits. `thread`: a module that calls
 * `serveJobs`, in threads of its own, for what computes: there it can be ended by force. `program`: a command, one execution a job (run dialect). `prepare`: as
 * `run`, made ready when the worker starts. `steps`: for a kind in steps; the function does the next step of a job, and may be called for one job by several at
 * once.
 */
export type Computation<I, D extends KindDialect> =
  | { readonly run: Processor<I, D> }
  | { readonly prepare: (context: StartContext) => Promise<Ready<Processor<I, D>>> }
  | { readonly thread: URL }
  | (D extends 'run' ? { readonly program: Program } : never)
  | { readonly steps: (context: StepContext) => (id: string) => Promise<void> }

/** The same for whatever kind. */
export type AnyComputation =
  | { readonly run: AnyProcessor }
  | { readonly prepare: (context: StartContext) => Promise<Ready<AnyProcessor>> }
  | { readonly thread: URL }
  | { readonly program: Program }
  | { readonly steps: (context: StepContext) => (id: string) => Promise<void> }

/** A kind with what computes it: workers take it. */
export interface Work {
  readonly kind: Kind
  readonly computation: AnyComputation
}

const works = new WeakSet<object>()
const WAYS = ['run', 'prepare', 'thread', 'program', 'steps']

/** Joins the contract of a kind with what computes its jobs. Throws `TypeError` for a computation that does not fit. */
export function implement<I, D extends KindDialect>(kind: DefinedKind<I, D>, computation: Computation<I, D>): Work {
  const [way = '', ...others] = Object.keys(computation)
  const fail = (why: string) => new TypeError(`implement: ${kind.name}: ${why}`)
  if (!WAYS.includes(way) || others.length > 0) throw fail(`expected one of ${WAYS.join(', ')}`)
  if ('thread' in computation && !(computation.thread instanceof URL)) throw fail('thread: expected the URL of a module')
  if (kind.inSteps !== 'steps' in computation)
    throw fail(kind.inSteps ? 'expected steps, since it goes on in steps' : 'it does not go on in steps')
  if ('program' in computation && kind.dialect !== 'run') throw fail('program: a program speaks the run dialect')
  const work: Work = Object.freeze({ kind, computation: computation as AnyComputation }) // of this kind, as its type says
  works.add(work)
  return work
}

/** Whether this is what `implement` has made. */
export function isWork(value: unknown): value is Work {
  return typeof value === 'object' && value !== null && works.has(value)
}
