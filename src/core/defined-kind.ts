import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { describeFaults } from '../protocol/faults.js'
import { asTypeBox, isObjectSchema } from '../protocol/json-schema.js'
import { jobMessages } from '../protocol/run-messages.js'
import { unsafePatterns } from '../protocol/safe-pattern.js'
import { type AddedKind, addKind, KIND_NAMES, KINDS, type Kind } from './kinds.js'
import { processEvents } from './process-events.js'
import { computedEvents, snapshotFields } from './run-events.js'
import { MAX_TIMEOUT_S, MIN_TIMEOUT_S } from './timeout.js'

/** What a kind of one's own speaks: `run`, with sockets and a place in the REST interface of its own, or `process`, on `/ws` and `/api/processes` alone. */
export type KindDialect = 'run' | 'process'

/** What the row of a kind of one's own is made of; `path`, `idField` and `phases` are of the run dialect. */
export type KindFields = {
  readonly name: string
  readonly input: object
  readonly attempts: number
  readonly timeoutS: number
  readonly concurrency: number
  readonly trustPatterns: boolean
} & (
  | { readonly dialect: 'run'; readonly path: string; readonly idField: string; readonly phases: readonly string[] }
  | { readonly dialect: 'process' }
)

const Name = Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' })
const Common = {
  name: Name,
  input: Type.Unknown(),
  attempts: Type.Integer({ minimum: 1, maximum: 100 }),
  timeoutS: Type.Number({ minimum: MIN_TIMEOUT_S, maximum: MAX_TIMEOUT_S }),
  concurrency: Type.Integer({ minimum: 1, maximum: 64 }),
  trustPatterns: Type.Boolean(),
}
const RunFields = {
  path: Name,
  idField: Type.String({ pattern: '^[a-z][a-z0-9_]{0,28}_id$' }),
  phases: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), { minItems: 1, uniqueItems: true }),
}
const closed = { additionalProperties: false }
const VALIDATORS = {
  run: Compile(Type.Object({ ...Common, dialect: Type.Literal('run'), ...RunFields }, closed)),
  process: Compile(Type.Object({ ...Common, dialect: Type.Literal('process') }, closed)),
}

/** Names that mean something else where a kind's name or path stands: keys of a user in Redis; what a list and the sockets have beside the jobs. */
const RESERVED = { name: ['active', 'ended', 'count', 'live'], path: ['ws', 'cursor'] }

/** Whether these are the fields of a kind. Throws `TypeError`, which says the first field that is wrong or that there is none of, and what is expected there. */
export function assertKindFields(fields: Readonly<Record<string, unknown>>): asserts fields is KindFields {
  const { dialect, input } = fields
  if (dialect !== 'run' && dialect !== 'process') throw new TypeError('dialect: expected run or process')
  const [fault] = describeFaults(VALIDATORS[dialect].Errors(fields))
  if (fault) throw new TypeError(`${fault.path.slice(1)}: expected ${fault.expected}`)
  if (!isObjectSchema(input)) throw new TypeError('input: expected the JSON Schema of an object, with its properties')
}

/** Adds the row of a kind of one's own. Throws `TypeError`, which says the field, for a name that another kind has or that is reserved. */
export function addDefinedKind(fields: KindFields): void {
  mustBeFree('name', fields.name, [...KIND_NAMES, ...taken('processType'), ...RESERVED.name])
  const { name, attempts, timeoutS } = fields
  const input = inputOf(fields)
  const common = { processType: name, solvers: [], input, attempts, timeoutS, inSteps: false, inputFaults: () => [] }
  if (fields.dialect === 'process') return addKind(name, { ...common, path: null, idField: 'process_id', events: processEvents(name) })
  const { path, idField, phases } = fields
  mustBeFree('path', path, [...taken('path'), ...RESERVED.path])
  mustBeFree('idField', idField, taken('idField'))
  addKind(name, { ...common, path, idField, ...speech(idField, phases) })
}

/** The events and the snapshot of a kind in the run dialect. */
function speech(idField: string, phases: readonly string[]): Pick<AddedKind, 'events' | 'snapshot'> {
  return {
    events: computedEvents(idField, phases as [string, ...string[]], jobMessages(idField, phases)), // its schema wants one at least
    snapshot: (state) => ({ type: 'status', [idField]: state.id, ...snapshotFields(state) }),
  }
}

/** Compiled once here, so that a pattern that is none is a fault of the definition and not of the first submit. */
function inputOf({ input, trustPatterns }: KindFields): Kind['input'] {
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

/** What the rows have in one field. */
function taken(field: 'processType' | 'path' | 'idField'): (string | null)[] {
  return KIND_NAMES.map((kind) => KINDS[kind][field])
}

function mustBeFree(field: string, text: string, others: readonly (string | null)[]): void {
  if (others.includes(text)) throw new TypeError(`${field}: ${text} is taken by another kind of job, or reserved`)
}
