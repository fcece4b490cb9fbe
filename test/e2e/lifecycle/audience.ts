import { watchJob } from '../../../src/client/watch-job.js'
import { BUILT_IN } from '../../support/kinds.js'
import { random } from '../../support/random.js'
import { cuttable, pauseFor } from './cuttable.js'
import { type Heard, messagesOf, type Told } from './heard.js'
import { INPUTS } from './inputs.js'
import { KeptLines } from './kept-lines.js'
import { PlainClient } from './plain-client.js'
import type { JobPlan } from './plan.js'
import { StreamClient } from './stream-client.js'
import { digestsOf } from './telemetry-record.js'
import { UserTab } from './user-tab.js'
import type { World } from './world.js'

const TABS_PER_USER = 2
/** Sockets of single jobs that stay open; the oldest leave. */
const MAX_LISTENERS = 120
const BACKOFF_MS = { first: 20, longest: 300 }

/** How long a slow client reads nothing. */
const PAUSE_MS = 1500

/** A client of one job. */
interface Listener {
  readonly id: string
  cut(): void
  /** Reads nothing for a while. */
  pause(ms: number): void
  close(): void
  heard(): Heard
}

/** Everybody who watches, over random hubs: tabs of all users from the start, and clients of each job with log, curves and files. */
export class Audience {
  readonly tabs: readonly UserTab[]
  readonly #world: World
  readonly #next: () => number
  readonly #onFault: (fault: string) => void
  readonly #listeners: Listener[] = []
  readonly #leftOf = new Map<string, Heard[]>()

  constructor(world: World, seed: number, users: number, onFault: (fault: string) => void) {
    this.#world = world
    this.#next = random(seed ^ 0x5eed)
    this.#onFault = onFault
    this.tabs = Array.from({ length: users * TABS_PER_USER }, (_, i) => {
      const sub = `user-${i % users}`
      return new UserTab({ sub, name: `tab ${i} of ${sub}`, hubUrl: () => this.#hub(), token: () => world.token(sub), onFault })
    })
  }

  /** Resolves once every tab has its first list. */
  async ready(): Promise<void> {
    await Promise.all(this.tabs.map((tab) => tab.ready()))
  }

  /** Somebody begins to watch this job by itself. */
  watch(plan: JobPlan): void {
    const { id, owner, input, isWatchedPlainly } = plan
    const { path } = BUILT_IN.get(INPUTS[input].kind)
    this.tabs.find(({ sub }) => sub === owner)?.follow(id)
    if (path !== null) this.#listeners.push(this.#watcher(path, id, owner))
    if (path !== null && isWatchedPlainly) this.#listeners.push(this.#plain(path, id, owner))
    if (path === null || !isWatchedPlainly) this.#listeners.push(this.#stream(id, owner))
    while (this.#listeners.length > MAX_LISTENERS) this.#leave(this.#listeners.shift())
  }

  /** Somebody comes to this job when all is over. */
  watchLate({ id, owner, input }: JobPlan): void {
    const { path } = BUILT_IN.get(INPUTS[input].kind)
    this.#listeners.push(path === null ? this.#stream(id, owner) : this.#watcher(path, id, owner))
  }

  /** Cuts the connection of one client, as a dying network does. */
  cut(pick: number): void {
    this.#picked(pick)?.cut()
  }

  /** One client is slow. */
  pause(pick: number): void {
    this.#picked(pick)?.pause(PAUSE_MS)
  }

  #picked(pick: number): Pick<Listener, 'cut' | 'pause'> | undefined {
    const all = [...this.tabs, ...this.#listeners]
    return all[Math.floor(pick * all.length)]
  }

  heard(id: string): Heard[] {
    const listening = this.#listeners.filter((listener) => listener.id === id).map((listener) => listener.heard())
    return [...(this.#leftOf.get(id) ?? []), ...listening, ...this.tabs.map((tab) => tab.heard(id)).filter(({ told }) => told.length > 0)]
  }

  close(): void {
    for (const client of [...this.tabs, ...this.#listeners]) client.close()
  }

  #leave(listener: Listener | undefined): void {
    if (!listener) return
    const heard = listener.heard()
    listener.close()
    this.#leftOf.set(listener.id, [
      ...(this.#leftOf.get(listener.id) ?? []),
      { ...heard, upTo: heard.told.at(-1)?.seq ?? 0, view: null, telemetry: {} },
    ])
  }

  #watcher(path: string, id: string, owner: string): Listener {
    const told: Told[] = []
    const kept = new KeptLines()
    const { sockets, Cuttable } = cuttable(() => this.#hub())
    const watch = watchJob({
      url: `ws://hub/api/v2/ws/${path}/${id}`,
      token: () => this.#world.token(owner),
      WebSocket: Cuttable,
      backoffMs: BACKOFF_MS,
      series: true,
      onMessage: (message) => told.push(messagesOf(message)),
      artifacts: true,
      onLog: (lines, is) => kept.add(lines, is),
      onEnd: ({ code, reason }) => code !== 1000 && this.#onFault(`the watch of ${id} ended with ${code} ${reason}`),
    })
    return {
      id,
      cut: () => sockets.at(-1)?.terminate(),
      pause: (ms) => pauseFor(sockets.at(-1), ms),
      close: () => watch.close(),
      heard: () => {
        const { lines, isComplete } = kept
        const telemetry = { curves: watch.series, lines, isComplete, artifacts: digestsOf(watch.artifacts.values()) }
        return { who: `watchJob of ${id}`, dialect: 'run', told, view: watch.view && { ...watch.view }, telemetry }
      },
    }
  }

  #plain(path: string, id: string, owner: string): Listener {
    const url = () => `${this.#hub()}/api/v2/ws/${path}/${id}?token=${this.#world.token(owner)}`
    const client = new PlainClient({ url, onFault: this.#onFault })
    return listenerOf(id, client, { who: `a plain client of ${id}`, dialect: 'run' })
  }

  #stream(id: string, owner: string): Listener {
    const url = () => `${this.#hub().replace('ws', 'http')}/api/processes/${id}/events?token=${this.#world.token(owner)}`
    return listenerOf(id, new StreamClient({ url, onFault: this.#onFault }), { who: `a stream of ${id}`, dialect: 'process' })
  }

  #hub(): string {
    return this.#world.webSocketUrl(Math.floor(this.#next() * 64))
  }
}

function listenerOf(id: string, client: PlainClient | StreamClient, who: Pick<Heard, 'who' | 'dialect'>): Listener {
  return {
    id,
    cut: () => client.cut(),
    pause: (ms) => client.pause(ms),
    close: () => client.close(),
    heard: () => {
      const { telemetry, isComplete } = client.telemetry
      return { ...who, told: client.told, view: null, telemetry: { ...telemetry, isComplete } }
    },
  }
}
