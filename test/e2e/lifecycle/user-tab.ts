import type { WebSocket } from 'ws'
import { type ProcessesWatch, watchProcesses } from '../../../src/client/watch-processes.js'
import { proveProcesses } from '../../support/process-proof.js'
import type { Message } from '../../support/test-client.js'
import { cuttable, pauseFor } from './cuttable.js'
import { type Heard, messagesOf, type Told } from './heard.js'
import { KeptLines } from './kept-lines.js'
import { digestsOf } from './telemetry-record.js'

export interface UserTabOptions {
  readonly name: string
  readonly sub: string
  readonly hubUrl: () => string
  readonly token: () => string
  readonly onFault: (fault: string) => void
}

/** Processes that a tab asks for at each connect. */
const MAX_FOLLOWED = 50
const BACKOFF_MS = { first: 20, longest: 300 }

/** All processes of a user through the client library; and what came over each single connection is proved by itself, as another client would. */
export class UserTab {
  readonly sub: string
  readonly #options: UserTabOptions
  readonly #watch: ProcessesWatch
  readonly #told = new Map<string, Told[]>()
  readonly #sockets: readonly WebSocket[]
  /** What came over the connections that are still open. */
  readonly #raw = new Map<WebSocket, Message[]>()
  /** Log lines by process, of those whose log, curves and artifacts are followed. */
  readonly #followed = new Map<string, KeptLines>()
  #isClosed = false

  constructor(options: UserTabOptions) {
    this.#options = options
    this.sub = options.sub
    const { sockets, Cuttable } = cuttable(options.hubUrl, (message, socket) => this.#take(message, socket))
    this.#sockets = sockets
    this.#watch = watchProcesses({
      url: 'ws://hub/ws',
      token: options.token,
      WebSocket: Cuttable,
      backoffMs: BACKOFF_MS,
      maxFinished: 1_000_000,
      onMessage: (message) => this.#note(message as Message),
      onLog: (id, lines, is) => this.#followed.get(id)?.add(lines, is),
      onEnd: ({ code, reason }) => code !== 1000 && options.onFault(`${options.name} ended with ${code} ${reason}`),
    })
  }

  async ready(): Promise<void> {
    await this.#watch.until(() => true)
  }

  cut(): void {
    this.#sockets.at(-1)?.terminate()
  }

  pause(ms: number): void {
    pauseFor(this.#sockets.at(-1), ms)
  }

  /** From now on also log, curves and artifacts of this process, if they are not too many. */
  follow(id: string): void {
    if (this.#followed.size === MAX_FOLLOWED) return
    this.#followed.set(id, new KeptLines())
    // A process that it does not know yet has no position to resume from.
    const isKnown = this.#watch.until((view) => view.has(id))
    isKnown.then(() => this.#watch.subscribe(id, { series: true, log: true, artifacts: true })).catch(() => {})
  }

  close(): void {
    this.#isClosed = true
    for (const socket of this.#raw.keys()) this.#prove(socket)
    this.#watch.close()
  }

  heard(id: string): Heard {
    const process = this.#watch.view.get(id)
    const kept = this.#followed.get(id)
    const telemetry = kept
      ? {
          curves: this.#watch.series(id),
          lines: kept.lines,
          isComplete: kept.isComplete,
          artifacts: digestsOf(this.#watch.artifacts(id).values()),
        }
      : {}
    return { who: this.#options.name, dialect: 'process', told: this.#told.get(id) ?? [], view: process ? { ...process } : null, telemetry }
  }

  #note(message: Message): void {
    if (message.type === 'process_list' || message.type === 'refused') return
    const list = this.#told.get(message.process_id) ?? []
    list.push(messagesOf(message))
    this.#told.set(message.process_id, list)
  }

  #take(message: Message, socket: WebSocket): void {
    if (this.#isClosed) return
    const messages = this.#raw.get(socket) ?? []
    if (messages.length === 0) socket.once('close', () => this.#prove(socket))
    messages.push(message)
    this.#raw.set(socket, messages)
  }

  #prove(socket: WebSocket): void {
    try {
      proveProcesses(this.#raw.get(socket) ?? [])
    } catch (error) {
      this.#options.onFault(`${this.#options.name}, on one connection: ${error instanceof Error ? error.message : error}`)
    }
    this.#raw.delete(socket)
  }
}
