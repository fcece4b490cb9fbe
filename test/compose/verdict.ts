import { isDeepStrictEqual } from 'node:util'
import type { Body } from './rest.js'
import type { Told } from './watchers.js'

export interface Fault {
  readonly client: string
  readonly job: string
  readonly what: string
}

/** What a state has in either dialect, and a client folds; its epoch is of the Redis that answers: who had seen the end before a restart keeps the older one. */
const FOLDED = [
  'status',
  'seq',
  'attempt',
  'percent',
  'phase',
  'message',
  'elapsed_s',
  'metrics',
  'progress',
  'created_at',
  'started_at',
  'finished_at',
]

/** The first entry in which two lists differ. */
function differenceOf(has: readonly Body[], log: readonly Body[]): string {
  const at = log.findIndex((entry, i) => !isDeepStrictEqual(entry, has[i]))
  return `has ${has.length} entries, the log ${log.length}; first ${JSON.stringify(has[at])}, not ${JSON.stringify(log[at])}`
}

/**
 * Compares what each client has with the log of the job, as REST tells it afterwards: every durable entry, whole, once and in order, and the final state as it has folded it.
 * Whoever could be resumed has been. Answers what is wrong, and how much was compared.
 */
export async function judge(told: readonly Told[]): Promise<{ faults: Fault[]; entries: number; fills: number }> {
  const faults: Fault[] = []
  let [entries, fills] = [0, 0]
  for (const { client, path, rest, ledger, state } of told) {
    const fault = (what: string) => faults.push({ client, job: path, what })
    const [log, has, now] = await Promise.all([rest.log(path), ledger.all(), rest.call('GET', path)])
    if (log.length === 0) fault('the log is empty')
    if (!isDeepStrictEqual(has, log)) fault(differenceOf(has, log))
    if (ledger.notResumed.length > 0) fault(`was not resumed at ${ledger.notResumed}`)
    if (ledger.twice.length > 0) fault(`was told twice: ${ledger.twice}`)
    if (ledger.told.some((seq, i) => seq <= (ledger.told[i - 1] ?? 0))) fault(`was told out of order: ${ledger.told}`)
    for (const field of FOLDED.filter((field) => field in now && (field in (state ?? {}) || client !== 'raw SSE')))
      if (!isDeepStrictEqual(state?.[field], now[field]))
        fault(`has ${field} ${JSON.stringify(state?.[field])}, REST ${JSON.stringify(now[field])}`)
    if (now.status !== 'completed') fault(`ended as ${now.status}`)
    entries += has.length
    fills += ledger.fills
  }
  return { faults, entries, fills }
}
