import { WebSocket } from 'ws'
import { type ProcessesWatch, watchProcesses } from '../../src/client/index.js'
import { isFinal } from '../../src/protocol/status.js'
import type { Stage } from './stage.js'

export interface Play {
  readonly jobs: number
  /** Watchers of each job, all of its user. */
  readonly watchers: number
  readonly seconds: number
  readonly everyMs: number
}

/** What one watcher received. */
class Watcher {
  readonly numbers: number[] = []
  readonly latenessMs: number[] = []
  connects = 0
  readonly watch: ProcessesWatch

  constructor(stage: Stage, sub: string) {
    const connected = () => {
      this.connects += 1
    }
    this.watch = watchProcesses({
      url: `ws://${stage.hub.host}/ws`,
      token: () => stage.token(sub),
      WebSocket: class extends WebSocket {
        constructor(url: string) {
          super(url, { localAddress: '127.0.0.1' })
          connected()
        }
      },
      onMessage: (message) => {
        if (message.type !== 'process_result') return
        const { n, at } = message.result as { n: number; at: number } // of a beacon
        this.numbers.push(n)
        this.latenessMs.push(performance.timeOrigin + performance.now() - at)
      },
    })
  }
}

/** Users who watch jobs, and what they received. Everything of them comes from 127.0.0.1. */
export class Audience {
  readonly #stage: Stage
  readonly #play: Play
  readonly #watchers = new Map<string, readonly Watcher[]>()
  /** Answers of REST calls other than 2xx, by status. */
  readonly refused: Record<string, number> = {}

  constructor(stage: Stage, play: Play) {
    this.#stage = stage
    this.#play = play
  }

  /** Connects everybody, then submits the jobs. */
  async begin(): Promise<void> {
    const { jobs, watchers, seconds, everyMs } = this.#play
    for (let i = 0; i < jobs; i += 1) {
      const sub = `user-${i}`
      this.#watchers.set(
        sub,
        Array.from({ length: watchers }, () => new Watcher(this.#stage, sub)),
      )
    }
    await Promise.all([...this.#watchers.values()].flat().map(({ watch }) => watch.until(() => true)))
    const input = { results: Math.floor((seconds * 1000) / everyMs), every_ms: everyMs }
    for (const sub of this.#watchers.keys()) {
      const status = await this.call(sub, 'POST', '/api/processes', { process_id: sub, process_type: 'beacon', input })
      if (status !== 202) throw new Error(`the job of ${sub} was refused with ${status}`)
    }
  }

  /** A REST call of a user; resolves with the status. */
  async call(sub: string, method: 'GET' | 'POST', path: string, body?: object): Promise<number> {
    const headers = { authorization: `Bearer ${this.#stage.token(sub)}`, ...(body && { 'content-type': 'application/json' }) }
    const response = await fetch(`http://${this.#stage.hub.host}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) })
    await response.arrayBuffer()
    if (!response.ok) this.refused[response.status] = (this.refused[response.status] ?? 0) + 1
    return response.status
  }

  /** Resolves once every watcher knows that its job ended. */
  async finished(): Promise<void> {
    const all = [...this.#watchers.values()].flat()
    await Promise.all(all.map(({ watch }) => watch.until((view) => [...view.values()].some(({ status }) => isFinal(status)))))
  }

  get latenessMs(): number[] {
    return [...this.#watchers.values()].flat().flatMap(({ latenessMs }) => latenessMs)
  }

  get reconnects(): number {
    return [...this.#watchers.values()].flat().reduce((sum, { connects }) => sum + connects - 1, 0)
  }

  /** What went wrong: each watcher whose results are not 1…n, once each and in order, or whose job did not complete. */
  faults(): string[] {
    const total = Math.floor((this.#play.seconds * 1000) / this.#play.everyMs)
    const expected = JSON.stringify(Array.from({ length: total }, (_, i) => i + 1))
    return [...this.#watchers].flatMap(([sub, watchers]) =>
      watchers.flatMap(({ watch, numbers }, i) => {
        const status = watch.view.get(sub)?.status
        const faults = status === 'completed' ? [] : [`${sub}, watcher ${i}: ${status}`]
        return JSON.stringify(numbers) === expected ? faults : [...faults, `${sub}, watcher ${i}: ${numbers.length} of ${total} results`]
      }),
    )
  }

  close(): void {
    for (const { watch } of [...this.#watchers.values()].flat()) watch.close()
  }
}
