import { eventually } from '../../support/eventually.js'
import type { Audience } from './audience.js'
import { checkStints, type Stories } from './check-stints.js'
import { CHECKS } from './checks.js'
import type { JobPlan } from './plan.js'
import { type JobRecord, recordOf } from './record.js'
import type { Tally } from './tally.js'
import type { Witness } from './witness.js'
import type { World } from './world.js'

export interface Case {
  readonly world: World
  readonly witness: Witness
  readonly audience: Audience
  readonly plans: readonly JobPlan[]
  readonly tally: Tally
  fault(name: string, text: string): void
}

/** For all jobs together. */
const CONVERGE_MS = 20_000
/** Jobs that somebody comes to when all is over. */
const MAX_LATE = 40

/** Judges every job when all is at rest. */
export async function judge({ world, witness, audience, plans, tally, fault }: Case): Promise<void> {
  const redisRestarts = tally.of('faults', 'Redis restarted')
  const record = (plan: JobPlan) => recordOf(world, witness, plan, audience.heard(plan.id))
  for (const plan of plans.slice(-MAX_LATE)) audience.watchLate(plan)
  const stories: Stories = new Map()
  const records: JobRecord[] = []
  for (const plan of plans) records.push(await record(plan))
  // Each input has one story, which the longest tells; then each is held against it.
  for (const each of records) checkStints(each, stories)
  const faultsOf = (each: JobRecord) =>
    Object.entries(CHECKS).flatMap(([name, check]) => check(each, { stories, redisRestarts }).map((text) => [name, `${each.id}: ${text}`]))
  const deadline = Date.now() + CONVERGE_MS
  for (const [i, plan] of plans.entries()) {
    let faults: string[][] = []
    const isRight = async () => {
      // The last messages may still be on their way to a client; Redis and REST say at once what is.
      faults = faultsOf(faults.length === 0 && records[i] ? records[i] : await record(plan))
      return faults.length === 0
    }
    await eventually(isRight, { timeoutMs: deadline - Date.now(), everyMs: 200 }).catch(() => {})
    for (const [name = '', text = ''] of faults) fault(name, `${text}; its life: ${lifeOf(records[i]?.log ?? [])}`)
  }
  for (const each of records) {
    countEnds(tally, each.log)
    countTelemetry(tally, each)
  }
  for (const [end, count] of tally.entries('ends claimed')) if (count > 1) fault('one process ends a round', `${end} was ended by ${count}`)
}

function countEnds(tally: Tally, log: JobRecord['log']): void {
  for (const { class: entryClass, to, clears, seq } of log) {
    if (entryClass === 'final') tally.count('ends', String(to))
    if (clears === 'round') tally.count('rounds', 'by retry')
    if (seq === 1) tally.count('rounds', 'by submit')
    if (clears === 'attempt') tally.count('attempts', 'further ones')
  }
}

function countTelemetry(tally: Tally, { telemetry: { stored }, ledger }: JobRecord): void {
  tally.count('telemetry', 'computations', ledger.size)
  tally.count('telemetry', 'curves', stored.curves.size)
  for (const { n, k } of stored.curves.values()) {
    tally.count('telemetry', 'points', n)
    if (k > 1) tally.count('telemetry', 'curves in larger buckets')
  }
  tally.count('telemetry', 'lines', stored.lines.last)
  if (stored.lines.kept.size < stored.lines.last) tally.count('telemetry', 'logs that have lost lines')
}

/** The statuses of a job by seq, and what they clear. */
function lifeOf(log: JobRecord['log']): string {
  return log.flatMap(({ seq, to, clears = '' }) => (to === undefined ? [] : `${seq} ${to} ${clears}`.trim())).join(', ')
}
