import type { Test } from 'tap'
import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { RUN_MESSAGES, RunSnapshot } from '../../src/protocol/run-messages.js'
import type { Message, TestClient } from './test-client.js'

const position = { seq: Type.Integer({ minimum: 1 }), prev: Type.Optional(Type.Integer({ minimum: 0 })) }
const closed = { additionalProperties: false }

/** The schemas of the protocol with the fields that the hub adds, closed to further ones. */
const ENTRIES = new Map(
  Object.entries(RUN_MESSAGES).map(([type, { properties }]) => {
    const attempt = type === 'status' ? { attempt: Type.Integer({ minimum: 1 }) } : {}
    return [type, Compile(Type.Object({ ...properties, ...attempt, ...position }, closed))]
  }),
)
const SNAPSHOT = Compile(Type.Object({ ...RunSnapshot.properties, recovered: Type.Boolean() }, closed))

export function isSnapshot(message: Message): boolean {
  return 'recovered' in message
}

/** Messages that are entries of a job, without snapshots and answers. */
export function entriesOf(messages: readonly Message[]): Message[] {
  return messages.filter((message) => message.seq !== undefined && !isSnapshot(message))
}

/** [CONN-6] Checks that every message about a job has exactly the fields of its schema. */
export function assertShapes(t: Test, messages: readonly Message[]): void {
  for (const message of messages.filter(({ seq }) => seq !== undefined)) {
    const validator = isSnapshot(message) ? SNAPSHOT : ENTRIES.get(message.type)
    if (!validator?.Check(message)) t.fail(`not of its schema: ${JSON.stringify(message)}`, { faults: validator?.Errors(message) ?? [] })
  }
}

/**
 * [POS-2] Checks that after a snapshot no entry is missing, repeated or older, except in the replay. Returns the
 * number of live ones.
 */
export function assertComplete(t: Test, messages: readonly Message[]): number {
  const about = messages.filter(({ seq }) => seq !== undefined)
  t.ok(about[0] && isSnapshot(about[0]), 'the snapshot comes first')
  const { seq: start } = about[0]
  const replay = about.slice(1).filter(({ seq }) => seq <= start)
  const live = about.slice(1).filter(({ seq }) => seq > start)
  t.same(about.slice(1), [...replay, ...live], 'the replay comes before what is live')
  t.same(
    replay,
    [...replay].sort((a, b) => a.seq - b.seq),
    'the replay is in order',
  )
  t.equal(new Set(replay.map(({ seq }) => seq)).size, replay.length, 'the replay repeats nothing')
  let last = start
  for (const { seq, prev } of live) {
    if (!((prev ?? seq - 1) <= last && last < seq)) t.fail(`${seq} (prev ${prev}) cannot follow ${last}`)
    last = seq
  }
  return live.length
}

/** Texts of the entries by seq, for a comparison byte by byte. */
export function textsBySeq(client: TestClient): Map<number, string> {
  return new Map(client.texts.filter((_, i) => entriesOf([client.messages[i]]).length > 0).map((text) => [JSON.parse(text).seq, text]))
}

/** Conflation key of a message, by the protocol. */
export function keyOf({ type, metric_name }: Message): string {
  if (type === 'metric_update') return `metric:${metric_name}`
  return type === 'progress' || type === 'status' ? type : 'final'
}

/** The entries that a snapshot at `seq` replays: the latest per key, in order, without the status. One attempt only. */
export function wholeState(entries: readonly Message[], seq: number): Message[] {
  const latest = new Map(entries.filter((entry) => entry.seq <= seq).map((entry) => [keyOf(entry), entry]))
  latest.delete('status')
  return [...latest.values()].sort((a, b) => a.seq - b.seq)
}

/** The entries that a client at `after` has missed at `seq`: all persisted ones, and the latest progress. */
export function missed(entries: readonly Message[], after: number, seq: number): Message[] {
  const since = entries.filter((entry) => entry.seq > after && entry.seq <= seq)
  const lastProgress = since.filter(({ type }) => type === 'progress').at(-1)
  return since.filter((entry) => entry.type !== 'progress' || entry === lastProgress)
}
