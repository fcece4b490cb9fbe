import Type, { type Static, type TObject, type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { processClaimEvents, runClaimEvents } from '../protocol/claim-messages.js'
import { describeFaults } from '../protocol/faults.js'
import { asTypeBox, isObjectSchema } from '../protocol/json-schema.js'
import { PROCESS_MESSAGES } from '../protocol/process-messages.js'
import { jobMessages } from '../protocol/run-messages.js'
import { unsafePatterns } from '../protocol/safe-pattern.js'
import type { InputIssue, Kind, KindDialect, NumberOrSetting } from './kind.js'
import { processEvents } from './process-events.js'
import { processReportEvents, runReportEvents } from './report-events.js'
import { computedEvents, snapshotFields } from './run-events.js'
import { MAX_TIMEOUT_S, MIN_TIMEOUT_S } from './timeout.js'

/**
 * The input as a computation gets it. A property of a plain JSON Schema that has a default is always there, also in
 * objects within it. TypeBox does not keep defaults in its types; there a property is optional by `Type.Optional` only.
 */
export type FilledInput<S extends TSchema> = Filled<Static<S>, S>
type Filled<T, S> = T extends object ? (S extends { readonly properties: infer P } ? Flat<Present<T, P> & Others<T, P>> : T) : T
type Present<T, P> = { [N in keyof T as N extends WithDefault<P> ? N : never]-?: Filled<T[N], P[N & keyof P]> }
type Others<T, P> = { [N in keyof T as N extends WithDefault<P> ? never : N]: Filled<T[N], P[N & keyof P]> }
type WithDefault<P> = { [N in keyof P]: P[N] extends { readonly default: unknown } ? N : never }[keyof P]
type Flat<T> = { [N in keyof T]: T[N] }

/** The contract of a kind. `S`: schema of its input, by TypeBox or plain JSON Schema. `D`: its dialect. */
export type KindContract<S extends TSchema = TSchema, D extends KindDialect = KindDialect> = {
  /** `[a-z][a-z0-9-]{0,31}`; also the name of its queue. */
  readonly name: string
  /** Schema of an object. Defaults are filled in before the input is stored. */
  readonly input: S
  readonly dialect: D
  /** Maximum attempts per execution, 1 to 100. Default 1. */
  readonly attempts?: number
  /** Time limit of an execution in seconds, unless the submit sets one, or the setting that holds it. Default 3600. */
  readonly timeoutS?: NumberOrSetting
  /** Concurrent jobs of the kind per worker process, 1 to 64, or the setting that holds it. Default 1. */
  readonly concurrency?: NumberOrSetting
  /** Skips the check for patterns in `input` that may backtrack; it also reports some linear ones. Default false. */
  readonly trustPatterns?: boolean
  /**
   * Whether a job of the kind runs in steps, as child jobs, without a worker of its own (`implement`, `steps`). Default
   * false.
   */
  readonly inSteps?: boolean
  /** Whether only workers over HTTP compute it. Default false. */
  readonly external?: boolean
  /** Issues of an input that a schema cannot express. `solvers`: names of the configured solvers. */
  inputIssues?(input: Static<S>, solvers: readonly string[]): readonly InputIssue[]
} & OptionalFields &
  DialectFields[D]

/** Fields of one dialect. `path`, `idField` and `phases` belong to the run dialect, `result` to the process dialect. */
export interface DialectFields {
  run: {
    /** Path of its jobs: `/api/v2/<path>`, `/api/v2/ws/<path>/{id}`. */
    readonly path: string
    /** The field that holds the job id in messages and in the body of a submit. Ends with `_id`. */
    readonly idField: string
    /** The phases that `progress` may name. */
    readonly phases: readonly string[]
    readonly result?: never
  }
  process: {
    readonly path?: never
    readonly idField?: never
    readonly phases?: never
    /** Schema of the final result, of an object. Default: any object. */
    readonly result?: TSchema
  }
}

/** Optional fields, whose defaults follow from the dialect. Documented in `Kind`. */
type OptionalFields = Partial<
  Pick<
    Kind,
    | 'processType'
    | 'submission'
    | 'solvers'
    | 'settings'
    | 'events'
    | 'messages'
    | 'snapshotExtras'
    | 'claimEvents'
    | 'display'
    | 'snapshot'
    | 'hiddenInLists'
    | 'steps'
  >
> & { readonly clears?: Partial<Kind['clears']> }

/** The result of `kindOf`. `I`: type of the input. */
export interface DefinedKind<I = unknown, D extends KindDialect = KindDialect> extends Kind {
  readonly dialect: D
  /** Exists in the type only. */
  readonly '~input'?: I
}

type KindSettings = Kind['settings']
type NoSettings = Readonly<Record<never, never>>
type NamedKind<N extends string, S extends TSchema, D extends KindDialect, T> = DefinedKind<FilledInput<S>, D> & {
  readonly name: N
  readonly settings: T
}

/** The fields that a file of kinds has as well. */
export const KIND_FIELDS = {
  name: Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }),
  attempts: Type.Integer({ minimum: 1, maximum: 100 }),
  timeoutS: Type.Number({ minimum: MIN_TIMEOUT_S, maximum: MAX_TIMEOUT_S }),
  idField: Type.String({ pattern: '^[a-z][a-z0-9_]{0,28}_id$' }),
  phases: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { minItems: 1, uniqueItems: true }),
}
const { name: Name, attempts, timeoutS, idField, phases } = KIND_FIELDS
const SettingName = Type.String({ pattern: '^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$' })
const Setting = Type.Object({ about: Type.String(), fallback: Type.String(), read: Type.Unknown() })
const Given = Type.Optional(Type.Unknown())
const COMMON = {
  name: Name,
  input: Type.Unknown(),
  attempts,
  timeoutS,
  concurrency: Type.Integer({ minimum: 1, maximum: 64 }),
  trustPatterns: Type.Boolean(),
  inSteps: Type.Boolean(),
  external: Type.Boolean(),
  processType: Type.Optional(Name),
  settings: Type.Optional(Type.Record(SettingName, Setting, { additionalProperties: false })),
  ...{ inputIssues: Given, submission: Given, solvers: Given, events: Given, claimEvents: Given },
  ...{ messages: Given, snapshotExtras: Given },
  ...{ display: Given, snapshot: Given, hiddenInLists: Given, steps: Given, clears: Given },
}
const RUN = { path: Name, idField, phases }
const closed = { additionalProperties: false }
const AnyObject = Type.Object({}, { additionalProperties: true })
const VALIDATORS = {
  run: Compile(Type.Object({ ...COMMON, dialect: Type.Literal('run'), ...RUN }, closed)),
  process: Compile(Type.Object({ ...COMMON, dialect: Type.Literal('process'), result: Given }, closed)),
}

type Fields = KindContract & Required<Pick<KindContract, 'attempts' | 'timeoutS' | 'concurrency' | 'inSteps' | 'external'>>

const kinds = new WeakSet<object>()

/**
 * Returns the contract of a kind of job as a frozen value. Throws `TypeError` with the path of the first invalid field.
 * Name collisions are checked where kinds are combined (`Kinds`).
 */
export function kindOf<const N extends string, const S extends TSchema, D extends KindDialect, const T extends KindSettings = NoSettings>(
  contract: KindContract<S, D> & { readonly name: N; readonly settings?: T },
): NamedKind<N, S, D, T> {
  const given = { attempts: 1, timeoutS: 3600, concurrency: 1, trustPatterns: false, inSteps: false, external: false, ...contract }
  assertFields(given)
  const { name, dialect, attempts, timeoutS, concurrency, inSteps, external, settings, display, solvers, submission, clears } = given
  const own =
    given.dialect === 'run' ? runFields(given as Fields & DialectFields['run']) : processFields(given as Fields & DialectFields['process'])
  const { inputIssues } = given as { inputIssues?: Kind['inputIssues'] } // called with a checked input only
  const kind: Kind = {
    name,
    dialect,
    input: schemaIn(given, 'input'),
    attempts,
    timeoutS,
    concurrency,
    inSteps,
    external,
    solvers: solvers ?? [],
    settings: settings ?? {},
    display: display ?? {},
    submission: submission ?? null,
    clears: { attempt: [], round: [], ...clears },
    hiddenInLists: given.hiddenInLists ?? [],
    inputIssues: inputIssues ?? (() => []),
    steps: given.steps ?? (() => null),
    snapshotExtras: given.snapshotExtras ?? {},
    ...own,
    ...(given.claimEvents && { claimEvents: given.claimEvents, claimedResult: (fields) => fields }),
    ...(inSteps && { reports: null, claimEvents: null }),
  }
  kinds.add(Object.freeze(kind))
  return kind as NamedKind<N, S, D, T> // built from this contract
}

/** Whether the value was made by `kindOf`. */
export function isKind(value: unknown): value is Kind {
  return typeof value === 'object' && value !== null && kinds.has(value)
}

type DerivedFields = Pick<
  Kind,
  'path' | 'idField' | 'processType' | 'events' | 'messages' | 'reports' | 'snapshot' | 'claimEvents' | 'claimedResult'
>

function runFields({ name, path, idField, phases, processType, events, messages, snapshot }: Fields & DialectFields['run']): DerivedFields {
  const common = jobMessages(idField, phases)
  const computed = computedEvents(idField, phases as [string, ...string[]], common) // minItems: 1
  return {
    path,
    idField,
    processType: processType ?? name,
    events: events ?? computed,
    messages: messages ?? withOwnFields(common),
    reports: (id, last, eta) => runReportEvents(computed, id, last, eta),
    claimEvents: runClaimEvents(phases),
    claimedResult: (fields) => fields,
    snapshot: snapshot ?? ((state) => ({ type: 'status', [idField]: state.id, ...snapshotFields(state) })),
  }
}

/** A processor can add fields to its progress and its result. */
function withOwnFields(messages: ReturnType<typeof jobMessages>): Kind['messages'] {
  const open = ({ properties }: TObject) => Type.Object(properties, { additionalProperties: true })
  return { ...messages, progress: open(messages.progress), completed: open(messages.completed) }
}

function processFields(fields: Fields & DialectFields['process']): DerivedFields {
  const { name, processType = name, events, result } = fields
  const Result = result === undefined ? AnyObject : schemaIn(fields, 'result')
  const messages = fields.messages ?? (result === undefined ? PROCESS_MESSAGES : withResult(Result))
  const computed = result === undefined ? processEvents(processType) : processEvents(processType, withResult(Result))
  return {
    path: null,
    idField: 'process_id',
    processType,
    events: events ?? computed,
    messages,
    reports: (id, last, eta) => processReportEvents(computed, id, last, eta),
    claimEvents: processClaimEvents(AnyObject, { result: Result }),
    claimedResult: ({ result }) => result,
    snapshot: null,
  }
}

/** The messages of the process dialect with this schema of the final result. */
function withResult(result: TSchema): typeof PROCESS_MESSAGES {
  const { process_completed } = PROCESS_MESSAGES
  return { ...PROCESS_MESSAGES, process_completed: Type.Object({ ...process_completed.properties, result }) as typeof process_completed }
}

/** Throws `TypeError` with the first field that is invalid, missing or unknown, and what is expected. */
function assertFields(fields: object): asserts fields is Fields {
  // Not checked yet.
  const { dialect, input, result, timeoutS, concurrency, settings } = fields as Readonly<Record<string, unknown>>
  if (dialect !== 'run' && dialect !== 'process') throw new TypeError('dialect: expected run or process')
  const numbers = { ...(isSetting(timeoutS) && { timeoutS: MIN_TIMEOUT_S }), ...(isSetting(concurrency) && { concurrency: 1 }) }
  const [fault] = describeFaults(VALIDATORS[dialect].Errors({ ...fields, ...numbers }))
  if (fault) throw new TypeError(`${fault.path.slice(1)}: expected ${fault.expected}`)
  for (const [name, { read }] of Object.entries((settings ?? {}) as Kind['settings']))
    if (typeof read !== 'function') throw new TypeError(`settings/${name}/read: expected a function`)
  for (const [field, value] of Object.entries({ timeoutS, concurrency }))
    if (isSetting(value) && !Object.hasOwn(Object(settings), value.setting))
      throw new TypeError(`${field}/setting: expected the name of a setting of this kind`)
  for (const [field, schema] of Object.entries({ input, ...(result !== undefined && { result }) }))
    if (!isObjectSchema(schema)) throw new TypeError(`${field}: expected the JSON Schema of an object, with its properties`)
}

function isSetting(value: unknown): value is { readonly setting: string } {
  return typeof value === 'object' && value !== null && 'setting' in value
}

/** Compiles the schema, so that an invalid pattern fails here and not at the first submit. */
function schemaIn(fields: Fields & { readonly result?: TSchema }, field: 'input' | 'result'): TObject {
  const { [field]: given = AnyObject, trustPatterns } = fields
  try {
    const schema = asTypeBox(given)
    Compile(schema)
    const [unsafe] = trustPatterns ? [] : unsafePatterns(schema)
    if (unsafe !== undefined)
      throw new TypeError(
        `the pattern ${unsafe} may backtrack: use parts that cannot match the same characters, a format, or trustPatterns: true`,
      )
    return schema
  } catch (error) {
    throw new TypeError(`${field}: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}
