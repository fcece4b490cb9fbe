import { isFinal, isStatus, mayEnter } from '../../../src/protocol/status.js'
import { checkHeard } from './check-heard.js'
import { checkStints, type Stories } from './check-stints.js'
import { checkCurves, checkLines, checkTelemetryOfClients } from './check-telemetry.js'
import { type JobRecord, seqsOf } from './record.js'

/** What must hold of every job, by name. Each answers with what is wrong, one text a fault. */
export type Check = (record: JobRecord, context: { readonly stories: Stories; readonly redisRestarts: number }) => string[]

export const CHECKS: Readonly<Record<string, Check>> = {
  'one final entry per round': oneFinalPerRound,
  'nothing after the end': nothingAfterTheEnd,
  'every seq once, and none left out': positions,
  'the channel carried what the log holds': sameBytes,
  'only transitions of the state machine': transitions,
  'the stored state is the last event': storedIsLast,
  'REST says what the log holds': restIsLog,
  'one writer at a time, telling one story': (record, { stories }) => checkStints(record, stories),
  'every client was told everything, once and in order': (record, { redisRestarts }) => checkHeard(record, redisRestarts),
  'the curves are the fold of what was reported': checkCurves,
  'the log has what was written': checkLines,
  'every client ends with the stored log, curves and files': checkTelemetryOfClients,
}

function oneFinalPerRound({ log, stored }: JobRecord): string[] {
  const rounds = roundsOf(log)
  const faults = rounds.flatMap((round, i) => {
    const finals = round.filter((entry) => entry.class === 'final')
    return finals.length === 1 ? [] : [`round ${i + 1} has ${finals.length} final entries`]
  })
  return rounds.length === stored.round ? faults : [...faults, `${rounds.length} rounds in the log, ${stored.round} in the state`]
}

/** Also no tick: so what was published is looked at as well. */
function nothingAfterTheEnd({ log, published }: JobRecord): string[] {
  const all = [...new Map([...published, ...log].map((entry) => [entry.seq, entry])).values()].toSorted((a, b) => a.seq - b.seq)
  return roundsOf(all).flatMap((round, i) => {
    const end = round.findIndex((entry) => entry.class === 'final')
    const after = end < 0 ? [] : round.slice(end + 1)
    return after.map(({ seq, key }) => `round ${i + 1} has ${key} ${seq} after its end`)
  })
}

function positions({ log, published, stored }: JobRecord, { redisRestarts }: { readonly redisRestarts: number }): string[] {
  const faults: string[] = []
  log.forEach(({ seq }, i) => {
    if (seq <= (log[i - 1]?.seq ?? 0)) faults.push(`seq ${seq} follows ${log[i - 1]?.seq} in the log`)
  })
  if (log.length !== stored.persisted) faults.push(`${log.length} entries in the log, ${stored.persisted} counted`)
  if (log.at(-1)?.seq !== stored.seq) faults.push(`the log ends with ${log.at(-1)?.seq}, the count with ${stored.seq}`)
  published.forEach(({ seq, line }, i) => {
    const before = published[i - 1]
    const follows = before?.line === line ? seq === before.seq + 1 : seq > (before?.seq ?? 0)
    if (!follows) faults.push(`seq ${seq} was published after ${before?.seq ?? 'nothing'}`)
  })
  // Whoever heard everything knows that each seq that is not in the log was a tick. No fault but the end of its Redis cuts the witness off.
  if (redisRestarts === 0 && published.length !== stored.seq) faults.push(`${published.length} entries were published of ${stored.seq}`)
  return faults
}

function sameBytes({ log, published }: JobRecord): string[] {
  const logged = new Map(log.map((entry) => [entry.seq, entry]))
  const heard = published.flatMap((entry) => {
    const twin = logged.get(entry.seq)
    if (entry.class === 'transient') return twin ? [`tick ${entry.seq} is in the log`] : []
    return twin?.body.equals(entry.body) && twin.key === entry.key ? [] : [`entry ${entry.seq} is not in the log as it was published`]
  })
  return heard
}

function transitions({ log }: JobRecord): string[] {
  let status: string | undefined
  return log.flatMap(({ seq, to, clears }) => {
    if (to === undefined) return []
    const before = status
    status = to
    if (before === undefined) return to === 'queued' ? [] : [`it begins with ${to}`]
    const isLegal = isStatus(before) && mayEnter(before, to) && isFinal(before) === (clears === 'round')
    return isLegal ? [] : [`${before} → ${to} at ${seq}`]
  })
}

function storedIsLast({ log, stored, rest }: JobRecord): string[] {
  const last = log.at(-1)
  const faults = last?.to === stored.status ? [] : [`the log ends with ${last?.to}, the state is ${stored.status}`]
  for (const [dialect, said] of Object.entries(rest)) {
    if (!said) continue
    const { status, seq, result } = said.state
    if (status !== stored.status || seq !== stored.seq || result?.seq !== last?.seq)
      faults.push(
        `REST (${dialect}) says ${status} at ${seq} with the result of ${result?.seq}, stored is ${stored.status} at ${stored.seq}`,
      )
  }
  return faults
}

function restIsLog({ log, rest }: JobRecord): string[] {
  const faults: string[] = []
  const compare = (dialect: string, events: readonly { seq: number }[] | undefined, wanted: readonly number[]) => {
    const seqs = events?.map(({ seq }) => seq)
    if (seqs && JSON.stringify(seqs) !== JSON.stringify(wanted)) faults.push(`REST (${dialect}) says ${seqs}, the log ${wanted}`)
  }
  compare('run', rest.run?.events, seqsOf(log, 'run'))
  compare('process', rest.process?.events, seqsOf(log, 'process'))
  return faults
}

function roundsOf<E extends { readonly clears?: string }>(entries: readonly E[]): E[][] {
  const rounds: E[][] = [[]]
  for (const entry of entries) {
    if (entry.clears === 'round') rounds.push([])
    rounds.at(-1)?.push(entry)
  }
  return rounds
}
