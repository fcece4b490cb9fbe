import { watchJob } from '../../../src/client/watch-job.js'
import { BUILT_IN } from '../../support/kinds.js'
import { random } from '../../support/random.js'
import { cuttable } from './cuttable.js'
import { type Heard, messagesOf, type Told } from './heard.js'
import { INPUTS } from './inputs.js'
import { PlainClient } from './plain-client.js'
import type { JobPlan } from './plan.js'
import { UserTab } from './user-tab.js'
import type { World } from './world.js'

const TABS_PER_USER = 2
/** Sockets of single jobs that stay open; the oldest leave. */
const MAX_LISTENERS = 120
const BACKOFF_MS = { first: 20, longest: 300 }

/** A client of one job. */
interface Listener {
  readonly id: string
  cut(): void
  close(): void
  heard(): Heard
}

/** Everybody who watches, over random hubs: tabs of all users from the start, and one or two clients of each run. */
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
  watch({ id, owner, input, isWatchedPlainly }: JobPlan): void {
    const { path } = BUILT_IN.get(INPUTS[input].kind)
    if (path === null) return
    this.#listeners.push(this.#watcher(path, id, owner))
    if (isWatchedPlainly) this.#listeners.push(this.#plain(path, id, owner))
    while (this.#listeners.length > MAX_LISTENERS) this.#leave(this.#listeners.shift())
  }

  /** Cuts the connection of one client, as a dying network does. */
  cut(pick: number): void {
    const all = [...this.tabs, ...this.#listeners]
    all[Math.floor(pick * all.length)]?.cut()
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
    this.#leftOf.set(listener.id, [...(this.#leftOf.get(listener.id) ?? []), { ...heard, upTo: heard.told.at(-1)?.seq ?? 0, view: null }])
  }

  #watcher(path: string, id: string, owner: string): Listener {
    const told: Told[] = []
    const { sockets, Cuttable } = cuttable(() => this.#hub())
    const watch = watchJob({
      url: `ws://hub/api/v2/ws/${path}/${id}`,
      token: () => this.#world.token(owner),
      WebSocket: Cuttable,
      backoffMs: BACKOFF_MS,
      onMessage: (message) => told.push(messagesOf(message)),
      onEnd: ({ code, reason }) => code !== 1000 && this.#onFault(`the watch of ${id} ended with ${code} ${reason}`),
    })
    return {
      id,
      cut: () => sockets.at(-1)?.terminate(),
      close: () => watch.close(),
      heard: () => ({ who: `watchJob of ${id}`, dialect: 'run', told, view: watch.view && { ...watch.view } }),
    }
  }

  #plain(path: string, id: string, owner: string): Listener {
    const url = () => `${this.#hub()}/api/v2/ws/${path}/${id}?token=${this.#world.token(owner)}`
    const client = new PlainClient({ url, onFault: this.#onFault })
    return {
      id,
      cut: () => client.cut(),
      close: () => client.close(),
      heard: () => ({ who: `a plain client of ${id}`, dialect: 'run', told: client.told, view: null }),
    }
  }

  #hub(): string {
    return this.#world.webSocketUrl(Math.floor(this.#next() * 64))
  }
}
