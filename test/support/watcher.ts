import { WebSocket } from 'ws'
import { type JobSnapshot, type JobView, type LiveMessage, viewOf } from '../../src/client/job-view.js'
import { JobWatch } from '../../src/client/watch-job.js'
import { type ProcessesMessage, ProcessesWatch } from '../../src/client/watch-processes.js'
import type { JobState } from '../../src/core/job-state.js'
import { runSnapshot } from '../../src/core/run-events.js'
import type { Harness } from './harness.js'

interface Cuttings {
  readonly sockets: readonly WebSocket[]
  readonly Cuttable: new (url: string) => WebSocket
  cut(): void
}

/** A port without a listener, as if the node were gone. */
const NOWHERE = 'ws://127.0.0.1:1'

/** A WebSocket class for one client. A test chooses its node and can cut its connection at any time. */
function cuttable(harness: Harness, chooseNode: () => number): Cuttings {
  const sockets: WebSocket[] = []
  class Cuttable extends WebSocket {
    constructor(url: string) {
      super(url.replace('ws://node', harness.nodes[chooseNode()]?.ws ?? NOWHERE))
      sockets.push(this)
    }
  }
  return {
    sockets,
    Cuttable,
    /** Drops the connection without a close frame, as a network failure does. */
    cut: () => sockets.at(-1)?.terminate(),
  }
}

/** Asks a connected client to move to another node, as a draining node does. False without a client. */
export function drainOne(harness: Harness, next: () => number): boolean {
  const sessions = harness.nodes.flatMap(({ hub }) => [...hub.server.sessions])
  const session = sessions[Math.floor(next() * sessions.length)]
  session?.drain(Math.floor(next() * 20), 1000)
  return session !== undefined
}

/** A client of the SDK that records its messages, and whose connection can be cut at any time. */
export class Watcher {
  readonly watch: JobWatch
  /** Seqs of the persisted and final entries, in order of arrival. */
  readonly persisted: number[] = []
  readonly messages: (JobSnapshot | LiveMessage)[] = []
  /** Seq of the first snapshot; older entries are not expected. */
  since = -1
  readonly #line: Cuttings

  constructor(harness: Harness, id: string, chooseNode: () => number, tokenSeconds = 600) {
    this.#line = cuttable(harness, chooseNode)
    this.watch = new JobWatch({
      url: `ws://node/api/v2/ws/runs/${id}`,
      token: () => harness.token('alice', { seconds: tokenSeconds }),
      WebSocket: this.#line.Cuttable,
      backoffMs: { first: 5, longest: 50 },
      onMessage: (message) => this.#note(message),
    }).start()
    harness.onTeardown(() => this.watch.close())
  }

  get connects(): number {
    return this.#line.sockets.length
  }

  cut(): void {
    this.#line.cut()
  }

  #note(message: JobSnapshot | LiveMessage): void {
    this.messages.push(message)
    if ('recovered' in message) {
      if (this.since < 0) this.since = message.seq
    } else if (message.type !== 'progress' && message.seq > this.since) this.persisted.push(message.seq)
  }
}

/** A `Watcher` for all processes of a user. */
export class ProcessesWatcher {
  readonly watch: ProcessesWatch
  /** Seqs of the persisted and final entries of each process, in order of arrival. */
  readonly persisted = new Map<string, number[]>()
  readonly messages: ProcessesMessage[] = []
  /** Seqs in the first list. */
  #since: Map<string, number> | undefined
  readonly #line: Cuttings

  constructor(harness: Harness, chooseNode: () => number, sub = 'alice', tokenSeconds = 600) {
    this.#line = cuttable(harness, chooseNode)
    this.watch = new ProcessesWatch({
      url: 'ws://node/ws',
      token: () => harness.token(sub, { seconds: tokenSeconds }),
      WebSocket: this.#line.Cuttable,
      backoffMs: { first: 5, longest: 50 },
      onMessage: (message) => this.#note(message),
    }).start()
    harness.onTeardown(() => this.watch.close())
  }

  get connects(): number {
    return this.#line.sockets.length
  }

  cut(): void {
    this.#line.cut()
  }

  /** First known seq of a process; older entries are not expected. */
  since(id: string): number {
    return this.#since?.get(id) ?? 0
  }

  #note(message: ProcessesMessage): void {
    this.messages.push(message)
    if (message.type === 'process_list')
      this.#since ??= new Map([...message.processes, ...message.recent].map(({ process_id, seq }) => [process_id, seq]))
    else if (message.type !== 'refused' && message.type !== 'subscribed' && message.type !== 'process_progress') {
      const { process_id, seq } = message
      if (seq > this.since(process_id)) this.persisted.set(process_id, [...(this.persisted.get(process_id) ?? []), seq])
    }
  }
}

/** A stored state as a client sees it, without the time of the read. */
export function viewFromStore(state: JobState): Omit<JobView, 'final'> {
  const { final: _final, ...view } = viewOf(runSnapshot(state))
  return view
}

export function withoutFinal(view: JobView): Omit<JobView, 'final'> {
  const { final: _final, ...rest } = view
  return rest
}
