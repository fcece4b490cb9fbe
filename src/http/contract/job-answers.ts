import Type, { type TObject, type TProperties, type TSchema } from 'typebox'
import type { Kind, Kinds } from '../../core/kind.js'
import {
  finalMessages,
  PROCESS_WIRE_MESSAGES,
  PROCESS_WIRE_SNAPSHOT,
  PROCESS_WIRE_TELEMETRY,
  PROCESS_WIRE_WORDS,
  pascalCase,
  stateFieldsOf,
  wireMessages,
  wireSnapshot,
  wireTelemetry,
  wireWords,
} from '../../core/wire-messages.js'
import { JobId } from '../../protocol/job-id.js'
import { Nullable } from '../../protocol/json-schema.js'
import { JobStatus, Timestamp } from '../../protocol/life-fields.js'
import { LogPageFields } from '../../protocol/log-messages.js'
import { ProcessView } from '../../protocol/process-messages.js'
import { eventStream } from './answers.js'

/** Names of jobs in the ids of operations: `Run` and `Runs`. */
export interface Noun {
  readonly one: string
  readonly many: string
}

/** The answers about jobs of a resource, as schemas. */
export interface JobAnswers {
  readonly noun: Noun
  /** 202 of a submit or a retry. */
  readonly accepted: TObject
  readonly state: TObject
  readonly page: TObject
  readonly eventsPage: TObject
  /** The normalised input. */
  readonly input: TObject
  /** 202 of a cancel, a pause or a resume. */
  readonly status: TObject
  readonly logPage: TObject
  /** The stream of a job. */
  readonly stream: TSchema
}

const Path = Type.String({ format: 'uri-reference', description: 'a path on this server' })
const Links = Type.Object(
  { self: Path, events: Path, cancel: Path, retry: Path, socket: Path },
  { title: 'JobLinks', description: 'Where the job can be followed and controlled.' },
)
const Position = { epoch: Type.String(), seq: Type.Integer({ minimum: 0, description: 'position of the last entry' }) }
const Cursor = Nullable(Type.String({ description: '`cursor` of the next page' }))

interface Parts {
  readonly noun: Noun
  readonly idField: string
  readonly listField: string
  /** What names a job that was submitted. */
  readonly name: TProperties
  readonly state: TProperties
  /** Fields of the state that a list leaves out. */
  readonly hidden: readonly string[]
  readonly messages: readonly TSchema[]
  readonly snapshots: readonly TObject[]
  /** Messages that are sent only if the client asks for them. */
  readonly telemetry: readonly TObject[]
  readonly words: readonly TObject[]
}

function jobAnswers({ noun, idField, listField, name, state, hidden, messages, snapshots, telemetry, words }: Parts): JobAnswers {
  const brief = Object.fromEntries(Object.entries(state).filter(([field]) => !hidden.includes(field)))
  const full = Type.Object(state, { title: noun.one })
  const item = hidden.length === 0 ? full : Type.Object(brief, { title: `${noun.one}Item` })
  const message = union(messages, `${noun.one}Message`)
  return {
    noun,
    accepted: Type.Object({ ...name, status: JobStatus, created_at: Timestamp, links: Links }, { title: `${noun.one}Accepted` }),
    state: full,
    page: Type.Object({ [listField]: Type.Array(item), cursor: Cursor }, { title: `${noun.one}Page` }),
    eventsPage: Type.Object(
      {
        [idField]: JobId,
        ...Position,
        oldest_seq: Nullable(Type.Integer({ minimum: 1, description: 'position of the oldest entry that is kept' })),
        truncated: Type.Boolean({ description: 'entries after `after` are gone' }),
        events: Type.Array(message),
        next_after: Nullable(Type.Integer({ minimum: 1, description: '`after` of the next page; null: this is the last one' })),
      },
      { title: `${noun.one}Events` },
    ),
    input: Type.Object({}, { title: `${noun.one}Input`, additionalProperties: true, description: 'The input with its defaults.' }),
    logPage: Type.Object({ [idField]: JobId, ...LogPageFields }, { title: `${noun.one}Log` }),
    status: Type.Object({ [idField]: JobId, status: JobStatus }, { title: `${noun.one}StatusAnswer` }),
    stream: eventStream([...snapshots, message, ...telemetry, ...words]),
  }
}

/** Jobs of one kind, in the run dialect. */
export function runAnswers(kind: Kind, path: string): JobAnswers {
  const { name, idField, hiddenInLists } = kind
  const messages = wireMessages(kind)
  const one = pascalCase(name)
  return jobAnswers({
    noun: { one, many: pascalCase(path) },
    idField,
    listField: path,
    name: { [idField]: JobId },
    state: { ...stateFieldsOf(kind), result: Nullable(union(finalMessages(messages), `${one}Final`)) },
    hidden: hiddenInLists,
    messages: Object.values(messages),
    snapshots: [wireSnapshot(kind)],
    telemetry: wireTelemetry(kind),
    words: [wireWords(kind)],
  })
}

/** Jobs of every kind, in the process dialect. */
export function processAnswers(): JobAnswers {
  const { process_id, process_type } = ProcessView.properties
  return jobAnswers({
    noun: { one: 'Process', many: 'Processes' },
    idField: 'process_id',
    listField: 'processes',
    name: { process_id, process_type },
    state: { ...ProcessView.properties, result: Nullable(union(finalMessages(PROCESS_WIRE_MESSAGES), 'ProcessFinal')) },
    hidden: [],
    messages: Object.values(PROCESS_WIRE_MESSAGES),
    snapshots: [PROCESS_WIRE_SNAPSHOT],
    telemetry: PROCESS_WIRE_TELEMETRY,
    words: [PROCESS_WIRE_WORDS],
  })
}

/** Jobs of every kind, each in the dialect of its kind. */
export function allJobsAnswers({ all }: Kinds): JobAnswers {
  const { process_id: id, process_type: _type, ...view } = ProcessView.properties
  const messages = all.map(wireMessages)
  const kind = Type.Enum(all.map(({ name }) => name))
  return jobAnswers({
    noun: { one: 'Job', many: 'Jobs' },
    idField: 'id',
    listField: 'jobs',
    name: { id, kind },
    state: {
      id,
      kind,
      owner: Type.String(),
      solver: Nullable(Type.String({ description: 'a configured solver' })),
      ...view,
      final: Nullable(union(distinct(messages.flatMap(finalMessages)), 'JobFinal')),
    },
    hidden: [],
    messages: distinct(messages.flatMap(Object.values<TObject>)),
    snapshots: distinct(all.map(wireSnapshot)),
    telemetry: distinct(all.flatMap(wireTelemetry)),
    words: distinct(all.map(wireWords)),
  })
}

function union(schemas: readonly TSchema[], title: string): TSchema {
  return Type.Union([...schemas], { title })
}

/** Kinds in the process dialect share their messages. */
function distinct<T extends TSchema>(schemas: readonly T[]): T[] {
  return [...new Set(schemas)]
}
