import Type, { type TObject, type TProperties, type TSchema } from 'typebox'
import { ArtifactFields, ArtifactsFields } from '../protocol/artifact.js'
import { HealthFields } from '../protocol/health.js'
import { JobId } from '../protocol/job-id.js'
import { LogFields } from '../protocol/log-messages.js'
import { ParentField, PROCESS_MESSAGES, ProcessList, ProcessSnapshot, ProcessWords } from '../protocol/process-messages.js'
import { SnapshotFields, wordsMessage } from '../protocol/run-messages.js'
import { SeriesPartFields } from '../protocol/series-messages.js'
import { FINAL_TYPES } from '../protocol/status.js'
import type { Kind } from './kind.js'
import { STATUS_MESSAGES } from './process-events.js'

/*
 * Schemas of the messages of jobs as clients get them, each with a title, for the documents of the interface. They
 * validate nothing at run time.
 */

/** What the store and the hub add to a message of a job. */
const Position = {
  seq: Type.Integer({ minimum: 1, description: 'position in the job' }),
  prev: Type.Optional(
    Type.Integer({ minimum: 0, description: 'only live: the position that the receiver must have, if it is not `seq` - 1' }),
  ),
  epoch: Type.Optional(Type.String({ description: 'only live, if no snapshot came before: the history that `seq` counts in' })),
}
/** Messages of a transition, which name the attempt. */
const STATUS_TYPES: readonly string[] = ['status', ...Object.values(STATUS_MESSAGES)]
const Attempt = { attempt: Type.Integer({ minimum: 1 }) }

/** `process_progress` → `ProcessProgress`. */
export function pascalCase(text: string): string {
  return text
    .split(/[^A-Za-z0-9]+/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}

function positioned(type: string, message: TObject, title: string): TObject {
  // any keyword can be there
  const { properties, additionalProperties } = message as TObject & { readonly additionalProperties?: boolean }
  const added = { ...(type in PROCESS_MESSAGES && ParentField), ...(STATUS_TYPES.includes(type) && Attempt), ...Position }
  const options = { title, ...(additionalProperties !== undefined && { additionalProperties }) }
  return Type.Object({ ...properties, ...added }, options)
}

/** The messages of a kind in its own dialect, by type: `RunProgressMessage`, `OptimizationIterationMessage`. */
export function wireMessages(kind: Kind): Readonly<Record<string, TObject>> {
  const prefix = pascalCase(kind.name)
  const wireOf = ([type, message]: [string, TObject]): [string, TObject] => {
    const shared = PROCESS_WIRE_MESSAGES[type]
    if (shared && message === Reflect.get(PROCESS_MESSAGES, type)) return [type, shared]
    const name = pascalCase(type)
    return [type, positioned(type, message, `${name.startsWith(prefix) ? name : prefix + name}Message`)]
  }
  return Object.fromEntries(Object.entries(kind.messages).map(wireOf))
}

/** The messages about telemetry of a kind in its own dialect. They are sent only to clients that ask for them. */
export function wireTelemetry(kind: Kind): TObject[] {
  if (kind.dialect === 'process') return PROCESS_WIRE_TELEMETRY
  const prefix = pascalCase(kind.name)
  return [
    Type.Object({ type: Type.Literal('log'), [kind.idField]: JobId, ...LogFields }, { title: `${prefix}LogMessage` }),
    Type.Object({ type: Type.Literal('series'), [kind.idField]: JobId, ...SeriesPartFields }, { title: `${prefix}SeriesMessage` }),
    Type.Object({ type: Type.Literal('artifact'), [kind.idField]: JobId, ...ArtifactFields }, { title: `${prefix}ArtifactMessage` }),
    Type.Object({ type: Type.Literal('artifacts'), [kind.idField]: JobId, ...ArtifactsFields }, { title: `${prefix}ArtifactsMessage` }),
    Type.Object({ type: Type.Literal('health'), [kind.idField]: JobId, ...HealthFields }, { title: `${prefix}HealthMessage` }),
  ]
}

/** The same in the process dialect. */
export const PROCESS_WIRE_TELEMETRY = (
  [
    ['process_log', LogFields],
    ['process_series', SeriesPartFields],
    ['process_metric', SeriesPartFields],
    ['process_artifact', ArtifactFields],
    ['process_artifacts', ArtifactsFields],
    ['process_health', HealthFields],
  ] as const
).map(([type, fields]) => {
  const head = { type: Type.Literal(type), process_id: JobId, process_type: Type.String() }
  return Type.Object({ ...head, ...fields }, { title: `${pascalCase(type)}Message` })
})

/** Every job in the process dialect. */
export const PROCESS_WIRE_MESSAGES: Readonly<Record<string, TObject>> = Object.fromEntries(
  Object.entries(PROCESS_MESSAGES).map(([type, message]) => [type, positioned(type, message, `${pascalCase(type)}Message`)]),
)

/** The message that opens the socket of a job of a kind, in its own dialect. */
export function wireSnapshot(kind: Kind): TObject {
  if (kind.dialect === 'process') return PROCESS_WIRE_SNAPSHOT
  const fields = { type: Type.Literal('status'), ...snapshotFieldsOf(kind) }
  return Type.Object({ ...fields, recovered: Type.Boolean() }, { title: `${pascalCase(kind.name)}Snapshot` })
}

/** The message about changed words of a job of a kind, in its own dialect. */
export function wireWords(kind: Kind): TObject {
  if (kind.dialect === 'process') return PROCESS_WIRE_WORDS
  return Type.Object(wordsMessage(kind.idField).properties, { title: `${pascalCase(kind.name)}Words` })
}

export const PROCESS_WIRE_WORDS = Type.Object(ProcessWords.properties, { title: 'ProcessWords' })

/** The same in the process dialect, of one process and of all. */
export const PROCESS_WIRE_SNAPSHOT = Type.Object(ProcessSnapshot.properties, { title: 'Subscribed' })
export const PROCESS_WIRE_LIST = Type.Object(ProcessList.properties, { title: 'ProcessList' })

/** The state of a job of a kind in the run dialect: what its snapshot says, without what only a socket says. */
export function stateFieldsOf(kind: Kind): TProperties {
  const { timestamp: _timestamp, recovered: _recovered, resync: _resync, ...fields } = snapshotFieldsOf(kind)
  return fields
}

function snapshotFieldsOf({ idField, snapshotExtras }: Kind): TProperties & typeof SnapshotFields {
  return { [idField]: JobId, ...SnapshotFields, ...snapshotExtras }
}

/** The final messages of a set of messages. */
export function finalMessages(messages: Readonly<Record<string, TObject>>): TSchema[] {
  return Object.entries(messages).flatMap(([type, message]) => (FINAL_TYPES.includes(type) ? [message] : []))
}

/** The title of a schema; all schemas of messages have one. */
export function titleOf(schema: TSchema): string {
  return String(Reflect.get(schema, 'title'))
}
