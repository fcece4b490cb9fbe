import type { Static, TSchema } from 'typebox'
import { type DefinedKind, type KindContract, kindOf } from '../core/define-kind.js'
import { type Kind, type KindDialect, Kinds } from '../core/kind.js'
import { BUILT_IN_KINDS } from '../kinds/index.js'
import { type Computation, implement, isWork, type Work } from '../worker/implement.js'
import type { Processor } from '../worker/processor.js'

/** A kind of job of one's own: its contract, and, in the short form, what computes it. Without that it is the contract alone (`implement`). */
export type KindDefinition<S extends TSchema, D extends KindDialect> = KindContract<S, D> & ShortForm<S, D>

/** Where it is computed: by a function in the worker's event loop, for what waits; or by a module that calls `serveJobs`, in threads, for what computes. */
type ShortForm<S extends TSchema, D extends KindDialect> =
  | { readonly run: Processor<Static<S>, D>; readonly processor?: never; readonly thread?: never }
  /** `processor`: the older name of `run`. */
  | { readonly processor: Processor<Static<S>, D>; readonly run?: never; readonly thread?: never }
  | { readonly thread: URL; readonly run?: never; readonly processor?: never }
  | { readonly run?: never; readonly processor?: never; readonly thread?: never }

/**
 * What was defined in the short form, in its order. It is read where nobody says which kinds there are: by programs of the version 0.1, and by the loader of
 * `KINDS_MODULES`, whose modules need not export what they define.
 */
const shortForms: Work[] = []

/**
 * Makes the contract of a kind of job: a value, for hubs, workers and programs that are built with it. The short form, with `run` or `thread`, is in a file that hubs
 * and workers import (`KINDS_MODULES`). Throws `TypeError`, which says the field, for a definition that is not valid. Whether its names are free is checked where
 * a hub, a worker or a program is built.
 */
export function defineKind<const S extends TSchema, D extends KindDialect>(definition: KindDefinition<S, D>): DefinedKind<Static<S>, D> {
  try {
    const { run, processor, thread, ...contract } = definition as KindDefinition<TSchema, KindDialect> // of whatever types
    const kind = kindOf(contract as unknown as KindContract<S, D>)
    const computation = computationOf({ ...(run && { run }), ...(processor && { run: processor, processor }), ...(thread && { thread }) })
    if (computation) shortForms.push(implement(kind, computation as Computation<Static<S>, D>))
    return kind
  } catch (error) {
    throw new TypeError(`defineKind: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}

/** The work of a kind that was defined in the short form, or the work itself; undefined for a contract alone. */
export function workOf(value: Kind | Work): Work | undefined {
  return isWork(value) ? value : shortForms.find(({ kind }) => kind === value)
}

/** The works that were defined in the short form in this process so far, in their order. */
export function definedWork(): readonly Work[] {
  return [...shortForms]
}

/** The built-in kinds and these. Throws `TypeError` where two have a name in common. */
export function withBuiltIns(own: readonly (Kind | Work)[]): Kinds {
  return new Kinds([...BUILT_IN_KINDS, ...own.map((value) => (isWork(value) ? value.kind : value))])
}

/** The kinds that a program knows that names none: the built-in ones, and those that it has defined in the short form so far. */
export function knownKinds(): Kinds {
  return withBuiltIns(shortForms)
}

/** Checked at run time as well: a definition may be plain JavaScript. */
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
