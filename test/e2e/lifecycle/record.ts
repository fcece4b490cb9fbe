import type { Entry } from '../../../src/core/entry.js'
import { readEnvelope } from '../../../src/storage/envelope.js'
import { BUILT_IN } from '../../support/kinds.js'
import type { Heard } from './heard.js'
import { INPUTS, type InputName } from './inputs.js'
import { type Ledger, readLedger } from './ledger.js'
import type { JobPlan } from './plan.js'
import { type RestTelemetry, restTelemetry, storedTelemetry, type Telemetry } from './telemetry-record.js'
import type { Published, Witness } from './witness.js'
import type { Answer, World } from './world.js'

/** What a hub says of an entry or of a state. */
// biome-ignore lint/suspicious/noExplicitAny: the checks look at whatever came
export type Said = any

/** Everything known of one job when all is over. */
export interface JobRecord {
  readonly id: string
  readonly input: InputName
  /** The job's hash in Redis. */
  readonly stored: { readonly status: string; readonly round: number; readonly seq: number; readonly persisted: number }
  /** Its log in Redis. */
  readonly log: readonly Entry[]
  /** What its channel carried. */
  readonly published: readonly Published[]
  /** Its state and its log over REST, in each dialect that its kind has. */
  readonly rest: Readonly<Record<'process' | 'run', { readonly state: Said; readonly events: readonly Said[] } | undefined>>
  readonly heard: readonly Heard[]
  /** What its computations have reported; only runs have a ledger. */
  readonly ledger: Ledger
  /** Its curves and its log, in Redis and over REST, which has its artifacts as well. */
  readonly telemetry: { readonly stored: Telemetry; readonly rest: RestTelemetry }
}

export async function recordOf(world: World, witness: Witness, plan: JobPlan, heard: readonly Heard[]): Promise<JobRecord> {
  const { id, input, owner } = plan
  const { commands, keys } = witness
  const { path } = BUILT_IN.get(INPUTS[input].kind)
  const [status, round, seq, persisted] = await commands.hmget(keys.job(id), 'status', 'round', 'seq', 'durables')
  const rows = await commands.xrangeBuffer(keys.log(id), '-', '+')
  const log = rows.map(([, fields]) => readEnvelope(id, fields[1] ?? Buffer.alloc(0)))
  const read = (path: string) => readAll(world, path, owner)
  return {
    id,
    input,
    stored: { status: status ?? 'gone', round: Number(round), seq: Number(seq), persisted: Number(persisted) },
    log,
    published: witness.published(id),
    rest: {
      process: await read(`/api/processes/${id}`),
      run: path === null ? undefined : await read(`/api/v2/${path}/${id}`),
    },
    heard,
    ledger: readLedger(world.ledger, id),
    telemetry: { stored: await storedTelemetry(witness, id), rest: await restTelemetry(world, plan) },
  }
}

/** Seqs of the durable entries that a dialect has a message for: the process dialect has none for measurements and iterations. */
export function seqsOf(log: JobRecord['log'], dialect: 'run' | 'process'): number[] {
  return log.filter(({ key }) => dialect === 'run' || !/^(metric:.*|iteration)$/.test(key)).map(({ seq }) => seq)
}

async function readAll(world: World, path: string, sub: string): Promise<{ state: Said; events: Said[] }> {
  const state = await get(world, path, sub, 0)
  const events: Said[] = []
  for (let after: number | null = 0, hub = 1; after !== null; hub += 1) {
    const { body } = await get(world, `${path}/events?limit=100&after=${after}`, sub, hub)
    events.push(...body.events)
    after = body.next_after
  }
  return { state: state.body, events }
}

/** All processes run by now: what fails is a fault of theirs. */
async function get(world: World, path: string, sub: string, hub: number): Promise<Answer> {
  const answer = await world.ask({ path, sub, hub })
  if (answer?.status !== 200)
    throw new Error(`GET ${path} was answered with ${answer?.status ?? 'nothing'} ${JSON.stringify(answer?.body)}`)
  return answer
}
