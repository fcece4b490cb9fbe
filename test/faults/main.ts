import { setTimeout as sleep } from 'node:timers/promises'
import { machine, quantile, table } from '../../bench/report.js'
import { runMain } from '../../src/app/process.js'
import type { Order } from './attack-process.js'
import { Audience } from './audience.js'
import { Gauges } from './gauges.js'
import { type Outcomes, Stage } from './stage.js'

/** One address sends what costs a hub most, and users at another address watch their jobs on the same hub. */
interface Siege {
  readonly about: string
  readonly attacks: Order['attacks']
  readonly seconds: number
  /** What must hold beside it, in addition to what must hold beside each: nothing lost, no refusal for a user, no 500, flat memory. */
  readonly limits?: { readonly rssMb: number; readonly livezMs: number; readonly lateMs: number }
}

const SINGLE = { rssMb: 256, livezMs: 100, lateMs: 100 }
/** Memory is flat where the last fifth of the time needs no more than this much of the second fifth. */
const MAX_GROWTH = 1.15
const PLAY = { jobs: 20, watchers: 5, everyMs: 200 }
const QUIET_S = 5

const SIEGES = {
  fragments: { about: '6,000 sockets without a token send fragments', attacks: { fragments: 6000 }, seconds: 60, limits: SINGLE },
  bodies: { about: 'ten bodies at once that are expensive to refuse', attacks: { bodies: 10 }, seconds: 60, limits: SINGLE },
  mixed: {
    about: 'everything at once',
    attacks: {
      fragments: 200,
      bodies: 2,
      slowBodies: 200,
      slowHeaders: 100,
      badTokens: 10,
      reads: 4,
      garbage: 4,
      frames: 4,
      wrongDoors: 2,
    },
    seconds: 600,
  },
} satisfies Record<string, Siege>

/** `npm run faults [-- <siege> [seconds]]`: all of them, or one, for its time or so many seconds. */
async function main(): Promise<void> {
  const [name, seconds] = process.argv.slice(2)
  const chosen = Object.entries<Siege>(SIEGES).filter(([key]) => name === undefined || key === name)
  if (chosen.length === 0) throw new Error(`no siege ${name}: expected one of ${Object.keys(SIEGES).join(', ')}`)
  const held: boolean[] = []
  for (const [, siege] of chosen) held.push(await lay(seconds === undefined ? siege : { ...siege, seconds: Number(seconds) }))
  process.exitCode = held.every(Boolean) ? 0 : 1
}

async function lay(siege: Siege): Promise<boolean> {
  const stage = await Stage.start()
  const audience = new Audience(stage, { ...PLAY, seconds: siege.seconds + 2 * QUIET_S })
  try {
    await audience.begin()
    await sleep(QUIET_S * 1000)
    const gauges = new Gauges(stage.hub.pid, stage.hub.host)
    const isOver = new AbortController()
    const calls = callAll(audience, isOver.signal)
    const outcomes = await stage.attack(siege.attacks, siege.seconds)
    isOver.abort()
    await calls
    await gauges.stop()
    await audience.finished()
    return report(siege, outcomes, gauges, audience)
  } finally {
    audience.close()
    await stage.stop()
  }
}

/** What users do beside watching: read a state, list, submit a short job. */
async function callAll(audience: Audience, signal: AbortSignal): Promise<void> {
  for (let i = 0; !signal.aborted; i += 1) {
    const sub = `user-${i % PLAY.jobs}`
    await audience.call(sub, 'GET', `/api/processes/${sub}`)
    await audience.call(sub, 'GET', '/api/processes?status=active')
    if (i % 10 === 0)
      await audience.call(`caller-${i % 7}`, 'POST', '/api/processes', { process_type: 'beacon', input: { results: 3, every_ms: 50 } })
    await sleep(250)
  }
}

function report(siege: Siege, outcomes: Outcomes, { rssMb, livezMs }: Gauges, audience: Audience): boolean {
  const late = audience.latenessMs.toSorted((a, b) => a - b)
  const fifth = Math.floor(rssMb.length / 5)
  const growth = Math.max(...rssMb.slice(-fifth)) / Math.max(...rssMb.slice(fifth, 2 * fifth))
  const crashes = Object.values(outcomes).flatMap((own) => Object.keys(own).filter((outcome) => /^500|NOT/.test(outcome)))
  const rows: readonly (readonly [what: string, value: string, limit: string, holds: boolean])[] = [
    ['RSS of the hub, most, MB', ...figure(Math.max(...rssMb), siege.limits?.rssMb)],
    ['RSS, last fifth / second fifth', growth.toFixed(2), `${MAX_GROWTH}`, growth <= MAX_GROWTH],
    ['/livez, p99, ms', ...figure(quantile(livezMs, 0.99), siege.limits?.livezMs)],
    ['deliveries, p50, ms', ...figure(quantile(late, 0.5))],
    ['deliveries, p99, ms', ...figure(quantile(late, 0.99))],
    ['deliveries, latest, ms', ...figure(late.at(-1) ?? Number.NaN, siege.limits?.lateMs)],
    ['watchers with a fault', `${audience.faults().length}`, '0', audience.faults().length === 0],
    ['reconnects of watchers', `${audience.reconnects}`, '0', audience.reconnects === 0],
    ['calls of users refused', JSON.stringify(audience.refused), '{}', Object.keys(audience.refused).length === 0],
    ['answers 500, or never cut', `${crashes.length}`, '0', crashes.length === 0],
  ]
  const hasHeld = rows.every(([, , , holds]) => holds)
  const { processor, cores } = machine()
  process.stdout.write(`
${siege.about}, from 127.0.0.2, ${siege.seconds} s; beside it ${PLAY.jobs} jobs and ${PLAY.jobs * PLAY.watchers} watchers on 127.0.0.1, ${late.length} deliveries
${table([['', 'seen', 'limit', ''], ...rows.map(([what, value, limit, holds]) => [what, value, limit, limit === '' ? '' : holds ? 'holds' : 'FAILS'])])}
${[...audience.faults().slice(0, 10), ...crashes].map((line) => `  ${line}\n`).join('')}${Object.entries(outcomes)
  .map(([name, own]) => `  ${name}: ${JSON.stringify(own)}\n`)
  .join('')}${processor}, ${cores} cores, Node ${process.version}
${hasHeld ? 'held' : 'NOT HELD'}
`)
  return hasHeld
}

/** The cells of a figure: what was seen, its limit, whether it holds. */
function figure(seen: number, limit?: number): [value: string, limit: string, holds: boolean] {
  return [seen.toFixed(1), limit === undefined ? '' : `${limit}`, limit === undefined || seen < limit]
}

await runMain(main)
