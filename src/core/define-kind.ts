import Type, { type Static, type TObject, type TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { describeFaults } from '../protocol/faults.js'
import { asTypeBox, isObjectSchema } from '../protocol/json-schema.js'
import { jobMessages } from '../protocol/run-messages.js'
import { unsafePatterns } from '../protocol/safe-pattern.js'
import type { InputIssue, Kind, KindDialect, NumberOrSetting } from './kind.js'
import { processEvents } from './process-events.js'
import { processReportEvents, runReportEvents } from './report-events.js'
import { computedEvents, snapshotFields } from './run-events.js'
import { MAX_TIMEOUT_S, MIN_TIMEOUT_S } from './timeout.js'

/** The contract of a kind, in either dialect. `S`: the schema of its input, by TypeBox or plain JSON Schema; `D`: its dialect. */
export type KindContract<S extends TSchema = TSchema, D extends KindDialect = KindDialect> = {
  /** `[a-z][a-z0-9-]{0,31}`; also the name of its queue. */
  readonly name: string
  /** The schema of an object. Defaults are filled in before the input is stored. */
  readonly input: S
  readonly dialect: D
  /** Automatic tries of one round, 1 to 100; 1 without it. */
  readonly attempts?: number
  /** How long a round may take where its submit does not say, in seconds, or the setting that says it; 3600 without it. */
  readonly timeoutS?: NumberOrSetting
  /** Jobs of the kind that one worker process computes at a time, 1 to 64, or the setting that says it; 1 without it. */
  readonly concurrency?: NumberOrSetting
  /** The patterns in `input` are safe although the check takes them for ones that may backtrack, as it does some that are linear. False without it. */
  readonly trustPatterns?: boolean
  /** Whether it goes on in steps, made of other jobs, and no worker holds it (`implement`, `steps`). False without it. */
  readonly inSteps?: boolean
  /** What is wrong with an input that its schema cannot say. */
  inputIssues?(input: Static<S>, solvers: readonly string[]): readonly InputIssue[]
} & Further &
  DialectFields[D]

/** What the process dialect needs no more of: `path`, `idField` and `phases` are of the run dialect. */
export interface DialectFields {
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

/** What a contract may say that otherwise follows from its dialect; see `Kind`. */
type Further = Partial<
  Pick<
    Kind,
    'processType' | 'submission' | 'solvers' | 'settings' | 'events' | 'claimEvents' | 'display' | 'snapshot' | 'hiddenInLists' | 'steps'
  >
> & { readonly clears?: Partial<Kind['clears']> }

/** A kind that was defined. `I`: its input. */
export interface DefinedKind<I = unknown, D extends KindDialect = KindDialect> extends Kind {
  readonly dialect: D
  /** Of the type alone: there is no such field. */
  readonly '~input'?: I
}

type KindSettings = Kind['settings']
type NoSettings = Readonly<Record<never, never>>
type NamedKind<N extends string, S extends TSchema, D extends KindDialect, T> = DefinedKind<Static<S>, D> & {
  readonly name: N
  readonly settings: T
}

const Name = Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' })
const Given = Type.Optional(Type.Unknown())
const COMMON = {
  name: Name,
  input: Type.Unknown(),
  attempts: Type.Integer({ minimum: 1, maximum: 100 }),
  timeoutS: Type.Number({ minimum: MIN_TIMEOUT_S, maximum: MAX_TIMEOUT_S }),
  concurrency: Type.Integer({ minimum: 1, maximum: 64 }),
  trustPatterns: Type.Boolean(),
  inSteps: Type.Boolean(),
  processType: Type.Optional(Name),
  ...{ inputIssues: Given, submission: Given, solvers: Given, settings: Given, events: Given, claimEvents: Given },
  ...{ display: Given, snapshot: Given, hiddenInLists: Given, steps: Given, clears: Given },
}
const RUN = {
  path: Name,
  idField: Type.String({ pattern: '^[a-z][a-z0-9_]{0,28}_id$' }),
  phases: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { minItems: 1, uniqueItems: true }),
}
const closed = { additionalProperties: false }
const VALIDATORS = {
  run: Compile(Type.Object({ ...COMMON, dialect: Type.Literal('run'), ...RUN }, closed)),
  process: Compile(Type.Object({ ...COMMON, dialect: Type.Literal('process') }, closed)),
}

type Fields = KindContract & Required<Pick<KindContract, 'attempts' | 'timeoutS' | 'concurrency' | 'inSteps'>>

const kinds = new WeakSet<object>()

/**
 * Makes the contract of a kind of job: a value, and nothing else changes. Throws `TypeError`, which says the field, for a definition that is not valid. Whether
 * its names are free is known where a hub, a worker or a program puts kinds together (`Kinds`).
 */
export function kindOf<const N extends string, const S extends TSchema, D extends KindDialect, const T extends KindSettings = NoSettings>(
  contract: KindContract<S, D> & { readonly name: N; readonly settings?: T },
): NamedKind<N, S, D, T> {
  const given = { attempts: 1, timeoutS: 3600, concurrency: 1, trustPatterns: false, inSteps: false, ...contract }
  assertFields(given)
  const { name, dialect, attempts, timeoutS, concurrency, inSteps, settings, display, solvers, submission, clears } = given
  const own = given.dialect === 'run' ? runParts(given as Fields & DialectFields['run']) : processParts(given)
  const { inputIssues } = given as { inputIssues?: Kind['inputIssues'] } // of an input that its schema has let in
  const kind: Kind = {
    name,
    dialect,
    input: inputOf(given),
    attempts,
    timeoutS,
    concurrency,
    inSteps,
    solvers: solvers ?? [],
    settings: settings ?? {},
    display: display ?? {},
    submission: submission ?? null,
    clears: { attempt: [], round: [], ...clears },
    hiddenInLists: given.hiddenInLists ?? [],
    inputIssues: inputIssues ?? (() => []),
    steps: given.steps ?? (() => null),
    ...own,
    claimEvents: given.claimEvents ?? null,
    ...(inSteps && { reports: null }),
  }
  kinds.add(Object.freeze(kind))
  return kind as NamedKind<N, S, D, T> // as it was defined
}

/** Whether this is a kind that `kindOf` has made. */
export function isKind(value: unknown): value is Kind {
  return typeof value === 'object' && value !== null && kinds.has(value)
}

type Parts = Pick<Kind, 'path' | 'idField' | 'processType' | 'events' | 'reports' | 'snapshot'>

function runParts({ name, path, idField, phases, processType, events, snapshot }: Fields & DialectFields['run']): Parts {
  const computed = computedEvents(idField, phases as [string, ...string[]], jobMessages(idField, phases)) // its schema wants one at least
  return {
    path,
    idField,
    processType: processType ?? name,
    events: events ?? computed,
    reports: (id, last) => runReportEvents(computed, id, last),
    snapshot: snapshot ?? ((state) => ({ type: 'status', [idField]: state.id, ...snapshotFields(state) })),
  }
}

function processParts({ name, processType = name, events }: Fields): Parts {
  const computed = processEvents(processType)
  return {
    path: null,
    idField: 'process_id',
    processType,
    events: events ?? computed,
    reports: (id, last) => processReportEvents(computed, id, last),
    snapshot: null,
  }
}

/** Says the first field that is wrong or that there is none of, and what is expected there. */
function assertFields(fields: object): asserts fields is Fields {
  const { dialect, input, timeoutS, concurrency } = fields as Readonly<Record<string, unknown>> // of whatever
  if (dialect !== 'run' && dialect !== 'process') throw new TypeError('dialect: expected run or process')
  const numbers = { ...(isSetting(timeoutS) && { timeoutS: MIN_TIMEOUT_S }), ...(isSetting(concurrency) && { concurrency: 1 }) }
  const [fault] = describeFaults(VALIDATORS[dialect].Errors({ ...fields, ...numbers }))
  if (fault) throw new TypeError(`${fault.path.slice(1)}: expected ${fault.expected}`)
  if (!isObjectSchema(input)) throw new TypeError('input: expected the JSON Schema of an object, with its properties')
}

function isSetting(value: unknown): value is { readonly setting: string } {
  return typeof value === 'object' && value !== null && 'setting' in value
}

/** Compiled once here, so that a pattern that is none is a fault of the definition and not of the first submit. */
function inputOf({ input, trustPatterns }: Fields): TObject {
  try {
    const schema = asTypeBox(input)
    Compile(schema)
    const [unsafe] = trustPatterns ? [] : unsafePatterns(schema)
    if (unsafe !== undefined)
      throw new TypeError(
        `the pattern ${unsafe} may backtrack: expected one whose parts cannot match the same characters (or a format), or trustPatterns: true`,
      )
    return schema
  } catch (error) {
    throw new TypeError(`input: ${error instanceof Error ? error.message : error}`, { cause: error })
  }
}
