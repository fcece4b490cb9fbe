import { BUILT_IN } from '../../support/kinds.js'
import { INPUTS } from './inputs.js'
import type { JobPlan } from './plan.js'
import type { Witness } from './witness.js'
import type { World } from './world.js'

export type Bucket = readonly number[]

/** A curve, as Redis, REST or a client has it. */
export interface Curve {
  readonly unit: string
  readonly x: string
  readonly n: number
  readonly k: number
  readonly buckets: readonly Bucket[]
}

/** A line of a log without its number. */
export interface Line {
  readonly level?: string
  readonly text: string
  readonly attempt?: number
  readonly timestamp: string
}

/** The log of an execution: what is kept of it, by number, and the number of the last line. */
export interface Lines {
  readonly last: number
  readonly kept: ReadonlyMap<number, Line>
}

/** What is known of a job beside its entries. */
export interface Telemetry {
  readonly curves: ReadonlyMap<string, Curve>
  readonly lines: Lines
}

/** Also what only REST says. */
export type RestTelemetry = Telemetry & { readonly artifacts: Digests }

/** The SHA-256 of each artifact, by name. */
export type Digests = ReadonlyMap<string, string | null>

export function digestsOf(artifacts: Iterable<{ readonly name: string; readonly sha256?: string | null | undefined }>): Digests {
  return new Map([...artifacts].map(({ name, sha256 }) => [name, sha256 ?? null]))
}

/** The curves of the current attempt and the log of the current execution, read from Redis byte by byte. */
export async function storedTelemetry({ commands, keys }: Witness, id: string): Promise<Telemetry> {
  const [round, attempt, series, lines] = await commands.hmget(keys.job(id), 'round', 'attempt', 'series', 'lines')
  const curves = series === `${round} ${attempt}` ? curvesOf(await commands.hgetallBuffer(keys.series(id))) : new Map<string, Curve>()
  const [, ofRound, last] = (lines ?? '').split(' ')
  if (ofRound !== round) return { curves, lines: { last: 0, kept: new Map() } }
  const rows = await commands.xrange(keys.lines(id), '-', '+')
  const kept = new Map(rows.map(([row, fields]) => [Number.parseInt(row, 10), JSON.parse(fields[1] ?? '')]))
  return { curves, lines: { last: Number(last), kept } }
}

/** See `series.lua`: heads `=<name>` of `<ddHH`, x and unit; chunks `<number>.<i>` of buckets of seven doubles. */
function curvesOf(hash: Record<string, Buffer>): Map<string, Curve> {
  const curves = new Map<string, Curve>()
  for (const [field, head] of Object.entries(hash)) {
    if (!field.startsWith('=')) continue
    const [size, number] = [head.readUInt16LE(16), head.readUInt16LE(18)]
    const chunks: Buffer[] = []
    for (let i = 0; hash[`${number}.${i}`]; i += 1) chunks.push(hash[`${number}.${i}`] ?? Buffer.alloc(0))
    const bytes = Buffer.concat(chunks)
    const buckets = Array.from({ length: size }, (_, i) => Array.from({ length: 7 }, (_, j) => bytes.readDoubleLE(56 * i + 8 * j)))
    const x = head.toString('latin1', 20, 21) === 's' ? 'step' : 'seconds'
    curves.set(field.slice(1), { unit: head.toString('utf8', 21), x, n: head.readDoubleLE(0), k: head.readDoubleLE(8), buckets })
  }
  return curves
}

/** The same over REST, page by page, at any hub and any path; and the artifacts. */
export async function restTelemetry(world: World, { id, owner: sub, input, hub }: JobPlan): Promise<RestTelemetry> {
  const { path } = BUILT_IN.get(INPUTS[input].kind)
  const bases = ['/api/processes', '/api/jobs', ...(path === null ? [] : [`/api/v2/${path}`])]
  let requests = hub
  const get = async (what: string) => {
    requests += 1
    const answer = await world.ask({ path: `${bases[requests % bases.length]}/${id}/${what}`, sub, hub: requests })
    if (answer?.status !== 200) throw new Error(`GET ${what} of ${id} was answered with ${JSON.stringify(answer)}`)
    return answer.body
  }
  const curves = new Map<string, Curve>()
  for (const { metric_name } of (await get('series')).series) {
    const { unit, x, n, k, buckets } = await get(`series?metric=${encodeURIComponent(metric_name)}`)
    curves.set(metric_name, { unit, x, n, k, buckets })
  }
  const kept = new Map<number, Line>()
  let last = 0
  for (let before: number | null | undefined; before !== null; ) {
    const page: { first: number; last: number; lines: Line[]; next_before: number | null } = await get(
      `log?limit=90${before === undefined ? '' : `&before=${before}`}`,
    )
    for (const [i, line] of page.lines.entries()) kept.set(page.first + i, line)
    last = page.last
    before = page.next_before
  }
  return { curves, lines: { last, kept }, artifacts: digestsOf((await get('artifacts')).artifacts) }
}
