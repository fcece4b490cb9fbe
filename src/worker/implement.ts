import type { Config } from '../config/config.js'
import type { Solver } from '../config/solver.js'
import { type DefinedKind, isKind } from '../core/define-kind.js'
import type { Kind, KindDialect } from '../core/kind.js'
import type { Finalizer } from '../jobs/finalize.js'
import type { JobService } from '../jobs/job-service.js'
import type { AnyProcessor, Processor } from './processor.js'

type Environment = Readonly<Record<string, string | undefined>>

/** What a computation gets when the worker of its kind starts. */
export interface StartContext {
  readonly config: Config
  /** The environment of this process, for example for keys. */
  readonly env: Environment
}

/** What the steps of a kind get. */
export interface StepContext extends Finalizer {
  readonly jobs: JobService
  /** Maximum bytes of an event of a job. */
  readonly maxEventBytes: number
  /**
   * Reports that a job can do nothing now, and why. Each step that finds this calls it; it is logged when it changes.
   */
  readonly onWait: (id: string, why: string) => void
}

/** A program as a solver: it receives the input as JSON on stdin and writes events to stdout. */
export type Program = Pick<Solver, 'command'> & Partial<Pick<Solver, 'args' | 'cwd' | 'env'>>

/** A computation that is ready to run. */
export interface Ready<P extends AnyProcessor> {
  readonly run: P
  /** Called after the last job has ended. */
  close?(): Promise<void>
}

/**
 * How the jobs of a kind are computed; exactly one of these. `run`: a function in the worker's event loop, for work
 * that waits. `thread`: a module that calls `serveJobs`, run in threads of its own, for work that computes: it can be
 * ended by force. `program`: a command, one execution per job (run dialect). `prepare`: as `run`, prepared when the
 * worker starts. `steps`: for a kind in steps; the function does the next step of a job, and several calls for one job
 * may run at once.
 */
export type Computation<I, D extends KindDialect> =
  | { readonly run: Processor<I, D> }
  | { readonly prepare: (context: StartContext) => Promise<Ready<Processor<I, D>>> }
  | { readonly thread: URL }
  | (D extends 'run' ? { readonly program: Program } : never)
  | { readonly steps: (context: StepContext) => (id: string) => Promise<void> }

/** A computation of any kind. */
export type AnyComputation =
  | { readonly run: AnyProcessor }
  | { readonly prepare: (context: StartContext) => Promise<Ready<AnyProcessor>> }
  | { readonly thread: URL }
  | { readonly program: Program }
  | { readonly steps: (context: StepContext) => (id: string) => Promise<void> }

/** A kind together with its computation, for workers. */
export interface Work {
  readonly kind: Kind
  readonly computation: AnyComputation
}

const works = new WeakSet<object>()

/** What each way to compute takes; checked at run time too, since a program may be plain JavaScript. */
const WAYS: Readonly<Record<string, { readonly takes: string; isValid(value: unknown): boolean }>> = {
  run: { takes: 'a function', isValid: isFunction },
  prepare: { takes: 'a function', isValid: isFunction },
  thread: { takes: 'the URL of a module', isValid: (value) => value instanceof URL },
  program: { takes: 'an object with a command', isValid: (value) => typeof (value as Partial<Program> | null)?.command === 'string' },
  steps: { takes: 'a function', isValid: isFunction },
}

/**
 * Joins the contract of a kind with the computation of its jobs. Throws `TypeError` if the computation does not fit.
 */
export function implement<I, D extends KindDialect>(kind: DefinedKind<I, D>, computation: Computation<I, D>): Work {
  if (!isKind(kind)) throw new TypeError('implement: expected a kind, as defineKind returns it')
  const fail = (why: string) => new TypeError(`implement: ${kind.name}: ${why}`)
  const [[name = '', value] = [], ...others] = Object.entries(computation ?? {})
  const way = Object.hasOwn(WAYS, name) ? WAYS[name] : undefined
  if (!way || others.length > 0) throw fail(`expected one of ${Object.keys(WAYS).join(', ')}`)
  if (!way.isValid(value)) throw fail(`${name}: expected ${way.takes}`)
  if (kind.inSteps !== 'steps' in computation)
    throw fail(kind.inSteps ? 'expected steps, since the kind runs in steps' : 'the kind does not run in steps')
  if ('program' in computation && kind.dialect !== 'run') throw fail('program: expected a kind in the run dialect')
  // matches the kind, by the types of this function
  const work: Work = Object.freeze({ kind, computation: computation as AnyComputation })
  works.add(work)
  return work
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function'
}

/** Whether `implement` has made this value. */
export function isWork(value: unknown): value is Work {
  return typeof value === 'object' && value !== null && works.has(value)
}
