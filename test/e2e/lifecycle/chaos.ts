import { setMaxListeners } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Audience } from './audience.js'
import { commit } from './faults.js'
import { JobLife } from './jobs.js'
import { describe, leftovers, unfinished } from './leftovers.js'
import { type JobPlan, type Plan, planOf, type Scale } from './plan.js'
import { Tally } from './tally.js'
import { judge } from './verdict.js'
import { Witness } from './witness.js'
import { World } from './world.js'

/** What a chaos run has shown. */
export interface Verdict {
  /** Each thing that did not hold, by the name of what should have. */
  readonly faults: ReadonlyMap<string, readonly string[]>
  readonly tally: Tally
}

/** What does not go on for so long is stuck. */
const STUCK_MS = 25_000
const POLL_MS = 100
/** More jobs than this that have not ended, and the next one waits. */
const MAX_ACTIVE = 14
const QUIET_MS = 500

/** Lets the plan happen to real processes; then all faults stop, everything comes to rest, and every job is judged. */
export async function runChaos(seed: number, scale: Scale): Promise<Verdict> {
  const chaos = new Chaos(planOf(seed, scale))
  return chaos.run()
}

class Chaos {
  readonly #plan: Plan
  readonly #tally = new Tally()
  readonly #faults = new Map<string, string[]>()
  readonly #over = new AbortController()
  readonly #started: JobPlan[] = []

  constructor(plan: Plan) {
    this.#plan = plan
    setMaxListeners(0, this.#over.signal) // every wait of every job hears it
  }

  async run(): Promise<Verdict> {
    const { scale, seed } = this.#plan
    const fault = (name: string) => (text: string) => this.#fault(name, text)
    const begin = Date.now()
    const pass = (phase: string) =>
      this.#tally.count('seconds', phase, Math.round((Date.now() - begin) / 1000) - this.#tally.total('seconds'))
    const world = await World.start({ ...scale, tally: this.#tally, onFault: fault('a process ends when it is told to') })
    const drop = () => world.drop()
    process.once('exit', drop)
    const witness = await Witness.start(world.redisUrl)
    const audience = new Audience(world, seed, scale.users, fault('every connection is proved by what came over it'))
    try {
      await audience.ready()
      pass('to start')
      await this.#rage(world, witness, audience)
      pass('of faults')
      await this.#settle(world, witness, audience)
      pass('to rest and judge')
    } catch (error) {
      this.#fault('the run comes to its end', error instanceof Error ? `${error.message}` : String(error))
    } finally {
      audience.close()
      witness.close()
      await world.stop()
      process.removeListener('exit', drop)
    }
    return { faults: this.#faults, tally: this.#tally }
  }

  /** Jobs, faults and cuts as planned. Resolves when all processes run again and nobody wants anything more. */
  async #rage(world: World, witness: Witness, audience: Audience): Promise<void> {
    const begin = Date.now()
    const until = (at: number) => sleep(Math.max(0, begin + at - Date.now()))
    const onFault = (text: string) => this.#fault('a hub answers as the protocol says', text)
    const stage = { world, witness, tally: this.#tally, onFault, onTaken: audience.watch.bind(audience), over: this.#over.signal }
    const { jobs, faults, cuts, slow, scale } = this.#plan
    const submits = async () => {
      const lives: Promise<void>[] = []
      for (const job of jobs) {
        await until(job.at)
        while (witness.active >= MAX_ACTIVE && !this.#over.signal.aborted) await witness.next(this.#over.signal)
        // A slow machine has not run all jobs by the end. The rest at once would be a flood that nobody planned.
        if (this.#over.signal.aborted) break
        this.#started.push(job)
        const life = new JobLife(stage, job).live()
        lives.push(life.catch((error) => this.#fault('a hub accepts every job', String(error))))
      }
      this.#tally.count('jobs left out', 'since the time was over', jobs.length - this.#started.length)
      await Promise.all(lives)
    }
    const harms = faults.map(async (plan) => {
      await until(plan.at)
      const wasDone = await commit(plan, world, witness)
      this.#tally.count('faults', wasDone ? plan.sort : 'left out, since another one was under way')
    })
    const cutting = cuts.map(async ({ at, pick }) => {
      await until(at)
      audience.cut(pick)
      this.#tally.count('clients disturbed', 'cut')
    })
    const slowing = slow.map(async ({ at, pick }) => {
      await until(at)
      audience.pause(pick)
      this.#tally.count('clients disturbed', 'slowed')
    })
    const end = until(scale.ms).then(() => this.#over.abort())
    await Promise.all([submits(), ...harms, ...cutting, ...slowing, end])
  }

  /** All faults have stopped: every job ends, everything is tidied up, every client comes to the same. Then each job is judged. */
  async #settle(world: World, witness: Witness, audience: Audience): Promise<void> {
    const plans = this.#started
    const ids = plans.map(({ id }) => id)
    const rest = async (name: string, ask: () => Promise<string[]>) => {
      const left = await atRest(ask, () => witness.heard)
      for (const text of left) this.#fault(name, text)
      return left
    }
    const open = await rest('every job ends', () => unfinished(witness, ids))
    for (const text of open) this.#fault('every job ends', await describe(witness, text.split(' ')[0] ?? ''))
    await rest('nothing is left over', () => leftovers(witness, ids))
    await sleep(QUIET_MS)
    for (const text of witness.faults) this.#fault('no zombie writes', text)
    await judge({ world, witness, audience, plans, tally: this.#tally, fault: (name, text) => this.#fault(name, text) })
  }

  #fault(name: string, text: string): void {
    this.#faults.set(name, [...(this.#faults.get(name) ?? []), text])
  }
}

/** Asks until nothing is left, or nothing has changed for too long: a slow machine may take its time. Answers what is left then. */
async function atRest(ask: () => Promise<string[]>, mark: () => unknown): Promise<string[]> {
  let last: { readonly mark: unknown; readonly at: number } | undefined
  for (;;) {
    const left = await ask()
    const now = `${left.length} ${mark()}`
    if (last?.mark !== now) last = { mark: now, at: Date.now() }
    if (left.length === 0 || Date.now() - last.at > STUCK_MS) return left
    await sleep(POLL_MS)
  }
}
