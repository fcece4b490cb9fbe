import type { Told } from './watchers.js'

export interface Fault {
  readonly client: string
  readonly job: string
  readonly what: string
}

/**
 * Compares what each client has with the log of the job, as REST tells it afterwards: every durable entry, once and in order, and the final state. Answers what is wrong, and
 * how much was compared.
 */
export async function judge(told: readonly Told[]): Promise<{ faults: Fault[]; entries: number; fills: number }> {
  const faults: Fault[] = []
  let [entries, fills] = [0, 0]
  for (const { client, path, rest, ledger, state } of told) {
    const fault = (what: string) => faults.push({ client, job: path, what })
    const [log, has, now] = await Promise.all([rest.log(path), ledger.all(), rest.call('GET', path)])
    const [expected, actual] = [JSON.stringify(log), JSON.stringify(has)]
    if (log.length === 0) fault('the log is empty')
    if (expected !== actual) fault(`has ${actual}, the log ${expected}`)
    if (ledger.twice.length > 0) fault(`was told twice: ${ledger.twice}`)
    if (ledger.told.some((seq, i) => seq <= (ledger.told[i - 1] ?? 0))) fault(`was told out of order: ${ledger.told}`)
    if (state?.status !== now.status || state?.seq !== now.seq)
      fault(`ended as ${state?.status} at ${state?.seq}, REST says ${now.status} at ${now.seq}`)
    if (now.status !== 'completed') fault(`ended as ${now.status}`)
    entries += has.length
    fills += ledger.fills
  }
  return { faults, entries, fills }
}
