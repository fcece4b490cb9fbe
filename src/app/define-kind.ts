import type { Static, TSchema } from 'typebox'
import { addDefinedKind, assertKindFields, type KindDialect } from '../core/defined-kind.js'
import type { OwnProcessor } from '../worker/processor.js'

/** A kind of job of one's own, in either dialect. `S`: the schema of its input, by TypeBox or plain JSON Schema; `D`: its dialect. */
export type KindDefinition<S extends TSchema, D extends KindDialect> = {
  /** `[a-z][a-z0-9-]{0,31}`; also the `process_type` and the name of its queue. */
  readonly name: string
  /** The schema of an object. Defaults are filled in before the input is stored. */
  readonly input: S
  readonly dialect: D
  /** Automatic tries of one round, 1 to 100; 1 without it. */
  readonly attempts?: number
  /** How long a round may take where its submit does not say, in seconds; 3600 without it. */
  readonly timeoutS?: number
  /** Jobs of the kind that one worker process computes at a time, 1 to 64; 1 without it. */
  readonly concurrency?: number
  /** The patterns in `input` are safe although the check takes them for ones that may backtrack, as it does some that are linear. False without it. */
  readonly trustPatterns?: boolean
} & DialectFields[D] &
  Computation<S, D>

/** What else a dialect asks for. */
interface DialectFields {
  run: {
    /** Place of its jobs: `/api/v2/<path>`, `/api/v2/ws/<path>/{id}`. */
    readonly path: string
    /** Names a job in every message and in the body of a submit: ends with `_id`. */
    readonly idField: string
    /** The phases that `progress` may name. */
    readonly phases: readonly string[]
  }
  process: { readonly path?: never; readonly idField?: never; readonly phases?: never }
}

/** Where it is computed: by a function in the worker's event loop, for what waits; or by a module that calls `serveJobs`, in threads, for what computes. */
type Computation<S extends TSchema, D extends KindDialect> =
  | { readonly processor: OwnProcessor<Static<S>, D>; readonly thread?: never }
  | { readonly thread: URL; readonly processor?: never }

/** A kind that was defined, for `Jobs`. `I`: its input. */
export interface DefinedKind<I = unknown, D extends KindDialect = KindDialect> {
  readonly name: string
  readonly dialect: D
  /** Of the type alone: there is no such field. */
  readonly '~input'?: I
}

/** How a worker computes a kind that was defined. */
export interface DefinedWork {
  readonly name: string
  readonly concurrency: number
  readonly computedBy: URL | OwnProcessor<never, KindDialect>
}

const works: DefinedWork[] = []
const handles = new WeakSet<object>()

/**
 * Adds a kind of job to this process: hubs, workers and programs that are built from then on have it like a built-in one. To be called in a module that hubs
 * and workers import (`KINDS_MODULES`). Throws `TypeError`, which says the field, for a definition that is not valid, or whose names another kind has.
 */
export function defineKind<const S extends TSchema, D extends KindDialect>(definition: KindDefinition<S, D>): DefinedKind<Static<S>, D> {
  try {
    const { processor, thread, ...given } = definition
    const fields: Readonly<Record<string, unknown>> = { attempts: 1, timeoutS: 3600, concurrency: 1, trustPatterns: false, ...given }
    assertKindFields(fields)
    const computedBy = computationOf(processor, thread)
    addDefinedKind(fields)
    works.push({ name: fields.name, concurrency: fields.concurrency, computedBy })
  } catch (error) {
    throw new TypeError(`defineKind: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
  const handle = Object.freeze({ name: definition.name, dialect: definition.dialect })
  handles.add(handle)
  return handle
}

/** The kinds that this process knows to compute, in the order of their definition. */
export function definedWorks(): readonly DefinedWork[] {
  return works
}

export function isDefinedKind(value: unknown): value is DefinedKind {
  return typeof value === 'object' && value !== null && handles.has(value)
}

/** Checked at run time as well: a definition may be plain JavaScript. */
function computationOf(processor: unknown, thread: unknown): DefinedWork['computedBy'] {
  if (processor !== undefined && thread !== undefined) throw new TypeError('processor, thread: expected one of them, not both')
  if (thread instanceof URL) return thread
  if (thread !== undefined) throw new TypeError('thread: expected the URL of a module')
  if (typeof processor !== 'function') throw new TypeError('processor: expected a function, or a thread')
  return processor as OwnProcessor<never, KindDialect> // what it takes and returns its kind's schemas check
}
