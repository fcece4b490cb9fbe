import { setTimeout as sleep } from 'node:timers/promises'
import { isFinal, type Status } from '../../src/protocol/status.js'
import { Rest } from './rest.js'
import type { Stack } from './stack.js'
import { streamRun } from './stream.js'
import { type Told, type Watcher, watchRun, watchUser } from './watchers.js'

const USERS = ['alice', 'bob']
/** Runs of a user that are open at any time while the story goes on. */
const OPEN_RUNS = 2
const LOOK_MS = 500
/** A run of a second or two, with its defaults. */
export const HORN = { material: 'ti-6al-4v', profile: 'uniform', width_mm: 25, height_mm: 126.71, thickness_mm: 25 }
/** The finest there is: about ten seconds of computing. */
const LONG = { ...HORN, mesh: { elements_x: 32, elements_y: 160 }, sweep: { points: 201 } }
const BENCHMARK = {
  models: ['local/ngram'],
  context_tiers: [0, 250, 500, 1000, 2000, 3000, 4000, 5000],
  runs: 50,
  max_tokens: 512,
  warmup: 0,
}

/** Jobs that are always under way while services come and go, and the clients that watch them through the load balancer. */
export class Jobs {
  readonly watchers: Watcher[] = []
  readonly ids: string[] = []
  /** Attempts of each run, as its clients were told. */
  readonly attempts = new Map<string, number>()
  readonly #url: string
  readonly #rests: readonly Rest[]
  readonly #open = new Set<string>()
  readonly #ends: Promise<void>[] = []
  readonly #lasting: Watcher[] = []
  readonly #benchmarks: string[] = []
  #isOver = false
  #feeding: Promise<void> = Promise.resolve()

  private constructor(url: string, rests: readonly Rest[]) {
    this.#url = url
    this.#rests = rests
  }

  /** Submits a benchmark and the first runs, watches them, and submits more as they end. */
  static async begin(stack: Stack): Promise<Jobs> {
    const tokens = await Promise.all(USERS.map((user) => stack.token(user)))
    const jobs = new Jobs(
      stack.url,
      tokens.map((token) => new Rest(stack.url, token)),
    )
    await jobs.#start()
    return jobs
  }

  /** REST as the first of the users. */
  get rest(): Rest {
    const [first] = this.#rests
    if (!first) throw new Error('nobody')
    return first
  }

  get tokens(): string[] {
    return this.#rests.map(({ token }) => token)
  }

  get openRuns(): number {
    return this.#open.size
  }

  /** Connections that the clients of all jobs of a user have made so far: those that stay as long as nothing is cut. */
  get connects(): number {
    return this.#lasting.reduce((sum, watcher) => sum + watcher.connects, 0)
  }

  /** Runs that are computed at this moment, by REST. */
  async running(): Promise<number> {
    const lists = await Promise.all(this.#rests.map((rest) => rest.call('GET', '/api/processes?status=active')))
    return lists.flatMap(({ processes }) => processes).filter(({ status }: { status: string }) => status === 'running').length
  }

  /** Submits nothing more, waits for the end of everything, and answers what each client has. */
  async finish(): Promise<Told[]> {
    this.#isOver = true
    await this.#feeding
    await Promise.all(this.watchers.map((watcher) => watcher.finished()))
    const told = this.watchers.flatMap((watcher) => watcher.told())
    this.close()
    return told
  }

  close(): void {
    this.#isOver = true
    for (const watcher of this.watchers) watcher.close()
  }

  async #start(): Promise<void> {
    await this.#benchmark(this.rest)
    for (const [i, rest] of this.#rests.entries()) {
      for (let n = 0; n < OPEN_RUNS; n += 1) await this.#submit(rest, `${USERS[i]}-${this.ids.length}`)
      const isOver = (view: ReadonlyMap<string, { status: Status }>) =>
        this.#isOver && [...view.values()].every(({ status }) => isFinal(status))
      this.#lasting.push(watchUser(this.#url, rest, isOver), watchUser(this.#url, rest, isOver))
    }
    this.watchers.push(...this.#lasting)
    this.#feeding = this.#feed()
  }

  async #feed(): Promise<void> {
    while (!this.#isOver) {
      for (const [i, rest] of this.#rests.entries()) {
        const user = USERS[i] ?? ''
        const open = [...this.#open].filter((id) => id.startsWith(user))
        // What cannot be submitted now, since Redis is away, is the next time.
        if (open.length < OPEN_RUNS) await this.#submit(rest, `${user}-${this.ids.length}`).catch(() => {})
      }
      await this.#benchmark(this.rest).catch(() => {})
      await sleep(LOOK_MS)
    }
  }

  /** Submits one where the last one has ended. */
  async #benchmark(rest: Rest): Promise<void> {
    const last = this.#benchmarks.at(-1)
    if (last !== undefined && (await rest.call('GET', `/api/processes/${last}`)).finished_at === null) return
    const id = `bench-${this.#benchmarks.length + 1}`
    await rest.call('POST', '/api/benchmark', { ...BENCHMARK, process_id: id })
    this.#benchmarks.push(id)
    this.ids.push(id)
  }

  async #submit(rest: Rest, id: string): Promise<void> {
    await rest.call('POST', '/api/v2/runs', { run_id: id, input: LONG })
    this.ids.push(id)
    this.#open.add(id)
    const note = ({ attempt }: { attempt: number }) => this.attempts.set(id, Math.max(attempt, this.attempts.get(id) ?? 0))
    const watcher = watchRun(this.#url, rest, id, note)
    // One of them without any client of ours.
    const watchers = this.#ends.length === 0 ? [watcher, streamRun(this.#url, rest, id)] : [watcher]
    this.watchers.push(...watchers)
    this.#ends.push(
      watcher.finished().then(
        () => {
          this.#open.delete(id)
          watcher.close()
        },
        () => {}, // `finish` tells it; an interrupt has to go on to its end
      ),
    )
  }
}
