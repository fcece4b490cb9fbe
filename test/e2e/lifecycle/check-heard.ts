import type { Heard } from './heard.js'
import { type JobRecord, type Said, seqsOf } from './record.js'

const TICKS = ['progress', 'process_progress', 'pareto_front']

/** Every client that watched has every durable entry once and in order, and in the end the state that is stored. */
export function checkHeard(record: JobRecord, redisRestarts: number): string[] {
  return record.heard.flatMap((heard) => {
    const faults = [...checkTold(heard, record, redisRestarts), ...checkView(heard, record, redisRestarts)]
    return faults.map((fault) => `${heard.who}: ${fault}`)
  })
}

/**
 * Checks the messages that a client received. A snapshot that is not recovered starts again: what is not above it may
 * be repeated or left out. That is right for the first one, after a restart of Redis, and if the snapshot before was
 * cut off before its final message; nowhere else. A process that is delivered from its log starts again in a new epoch,
 * which its first message names ([POS-8]).
 */
function checkTold({ told, dialect, upTo = Number.POSITIVE_INFINITY }: Heard, { log }: JobRecord, redisRestarts: number): string[] {
  const faults: string[] = []
  const wanted = seqsOf(log, dialect)
  const got = new Set<number>()
  const epochs = new Set<string | undefined>()
  let [last, excused] = [0, 0]
  let isWhole = false
  for (const message of told) {
    const { type, seq, recovered, epoch } = message
    const isKnown = isWhole && epochs.has(epoch)
    if (recovered === undefined && epoch !== undefined && !epochs.has(epoch)) last = 0
    if (epoch !== undefined) epochs.add(epoch)
    if (recovered !== undefined) {
      if (recovered === false) {
        if (isKnown) faults.push(`not recovered at ${seq}, though nothing was lost`)
        excused = Math.max(excused, seq)
        last = 0
      }
      isWhole = recovered
      continue
    }
    if (seq <= last) faults.push(`${type} ${seq} after ${last}`)
    last = seq
    if (seq > excused) isWhole = true
    if (!TICKS.includes(type)) got.add(seq)
    if (TICKS.includes(type) === wanted.includes(seq)) faults.push(`${type} ${seq}, which the log does not know as such`)
  }
  const missing = wanted.filter((seq) => seq > excused && seq <= upTo && !got.has(seq))
  if (missing.length > 0) faults.push(`was not told of ${missing}`)
  // After a restart, the history is named provisionally until the first write names it for good.
  if (epochs.size > 2 * redisRestarts + 1) faults.push(`${epochs.size} epochs with ${redisRestarts} restarts of Redis`)
  return faults
}

const FIELDS = {
  run: [
    'status',
    'attempt',
    'percent',
    'phase',
    'message',
    'elapsed_s',
    'metrics',
    'created_at',
    'started_at',
    'finished_at',
    'seq',
    'epoch',
  ],
  process: ['status', 'attempt', 'progress', 'created_at', 'started_at', 'finished_at', 'seq', 'epoch'],
} as const

/**
 * A new epoch comes with the next message ([POS-6]), and a list names only the last processes that have ended. So of a
 * job that ended before a restart of Redis, a client may know the epoch of before.
 */
function checkView({ view, dialect }: Heard, { rest }: JobRecord, redisRestarts: number): string[] {
  const state = rest[dialect]?.state
  if (!view || !state) return []
  const mayBeOfBefore = redisRestarts > 0 && view.finished_at !== null
  const fields = FIELDS[dialect].filter((field) => !(field === 'epoch' && mayBeOfBefore))
  const different = differences(view, state, fields)
  const final = (view.final ?? null) as Said
  if (final?.seq !== state.result?.seq) different.push(`final ${final?.seq} instead of ${state.result?.seq}`)
  return different.length > 0 ? [`in the end it has ${different.join(', ')}`] : []
}

/** Whether a view says what is stored: what a client comes to when everything has arrived. */
export function differences(view: Said, state: Said, fields: readonly string[]): string[] {
  return fields
    .filter((field) => canonical(view[field]) !== canonical(state[field]))
    .map((field) => `${field} ${canonical(view[field])} instead of ${canonical(state[field])}`)
}

/** As JSON, whatever the order of its fields. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'nothing'
  const fields = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${name}:${canonical(field)}`).join()}}`
}
