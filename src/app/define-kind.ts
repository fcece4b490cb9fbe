import type { TSchema } from 'typebox'
import { type DefinedKind, type FilledInput, type KindContract, kindOf } from '../core/define-kind.js'
import { type Kind, type KindDialect, Kinds } from '../core/kind.js'
import { BUILT_IN_KINDS } from '../kinds/index.js'
import { type Computation, implement, isWork, type Work } from '../worker/implement.js'
import type { Processor } from '../worker/processor.js'

/**
 * The definition of a custom kind: its contract and, in the short form, its computation. Without one it is only a
 * contract (see `implement`).
 */
export type KindDefinition<S extends TSchema, D extends KindDialect> = KindContract<S, D> & ShortForm<S, D>

/**
 * The computation: a function in the worker's event loop, for work that waits, or a module that calls `serveJobs` in
 * threads, for work that computes.
 */
type ShortForm<S extends TSchema, D extends KindDialect> =
  | { readonly run: Processor<FilledInput<S>, D>; readonly processor?: never; readonly thread?: never }
  /** `processor`: the former name of `run`. */
  | { readonly processor: Processor<FilledInput<S>, D>; readonly run?: never; readonly thread?: never }
  | { readonly thread: URL; readonly run?: never; readonly processor?: never }
  | { readonly run?: never; readonly processor?: never; readonly thread?: never }

/**
 * Kinds defined in the short form, in order. Used if a program names no kinds, as programs of version 0.1, and by the
 * loader of `KINDS_MODULES`, whose modules need not export their kinds.
 */
const shortForms: Work[] = []

/**
 * Creates the contract of a kind of job: a value for hubs, workers and programs. The short form, with `run` or
 * `thread`, belongs in a file that hubs and workers import (`KINDS_MODULES`). Throws a `TypeError` that names the field
 * if the definition is invalid. Name conflicts are detected when a hub, a worker or a client is created.
 */
export function defineKind<const S extends TSchema, D extends KindDialect>(
  definition: KindDefinition<S, D>,
): DefinedKind<FilledInput<S>, D> {
  try {
    // with any type parameters
    const { run, processor, thread, ...contract } = definition as KindDefinition<TSchema, KindDialect>
    const kind = kindOf(contract as unknown as KindContract<S, D>)
    const computation = computationOf({ ...(run && { run }), ...(processor && { run: processor, processor }), ...(thread && { thread }) })
    if (computation) shortForms.push(implement(kind, computation as Computation<FilledInput<S>, D>))
    return kind
  } catch (error) {
    throw new TypeError(`defineKind: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}

/** The work of a kind defined in the short form, or the work itself. Undefined for a contract alone. */
export function workOf(value: Kind | Work): Work | undefined {
  return isWork(value) ? value : shortForms.find(({ kind }) => kind === value)
}

/** The works defined in the short form in this process so far, in order. */
export function definedWork(): readonly Work[] {
  return [...shortForms]
}

/** The built-in kinds and these. Throws a `TypeError` if two kinds share a name. */
export function withBuiltIns(own: readonly (Kind | Work)[]): Kinds {
  return new Kinds([...BUILT_IN_KINDS, ...own.map((value) => (isWork(value) ? value.kind : value))])
}

/** The default kinds of a program: the built-in ones, and those it has defined in the short form so far. */
export function knownKinds(): Kinds {
  return withBuiltIns(shortForms)
}

/** Checked at run time too, since a definition may be plain JavaScript. */
function computationOf({
  run,
  processor,
  thread,
}: {
  readonly run?: unknown
  readonly processor?: unknown
  readonly thread?: unknown
}): { run: unknown } | { thread: URL } | null {
  const name = processor === undefined ? 'run' : 'processor'
  if (run !== undefined && thread !== undefined) throw new TypeError(`${name}, thread: expected one of them, not both`)
  if (thread instanceof URL) return { thread }
  if (thread !== undefined) throw new TypeError('thread: expected the URL of a module')
  if (run === undefined) return null
  if (typeof run !== 'function') throw new TypeError(`${name}: expected a function, or a thread`)
  return { run }
}
