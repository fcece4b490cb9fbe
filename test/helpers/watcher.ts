import { WebSocket } from 'ws'
import { type JobView, type LiveMessage, viewOf } from '../../src/client/job-view.js'
import { JobWatch } from '../../src/client/watch-job.js'
import type { JobState } from '../../src/protocol/job-state.js'
import { runSnapshot } from '../../src/protocol/run-events.js'
import type { RunSnapshot } from '../../src/protocol/run-messages.js'
import type { Harness } from './harness.js'

/** Pseudo-random numbers from a seed, so that a failing run can be run again (mulberry32). */
export function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A client of the SDK that keeps what it was told, and whose connection can be cut at any moment. */
export class Watcher {
  readonly watch: JobWatch
  /** Seqs of the durable and final entries, as they were told. */
  readonly durables: number[] = []
  readonly told: (RunSnapshot | LiveMessage)[] = []
  /** Seq of the first snapshot: what is older was never promised. */
  since = -1
  connects = 0
  #socket: WebSocket | undefined

  constructor(harness: Harness, id: string, chooseNode: () => number) {
    const watcher = this
    class Cuttable extends WebSocket {
      constructor(url: string) {
        super(url.replace('node', harness.nodes[chooseNode()]?.ws ?? ''))
        watcher.connects += 1
        watcher.#socket = this
      }
    }
    this.watch = new JobWatch({
      url: `node/api/v2/ws/runs/${id}`,
      token: () => harness.token(),
      WebSocket: Cuttable,
      backoffMs: { first: 5, longest: 50 },
      onMessage: (message) => this.#note(message),
    }).start()
    harness.onTeardown(() => this.watch.close())
  }

  /** As a dying network does: without a close. */
  cut(): void {
    this.#socket?.terminate()
  }

  #note(message: RunSnapshot | LiveMessage): void {
    this.told.push(message)
    if ('recovered' in message) {
      if (this.since < 0) this.since = message.seq
    } else if (message.type !== 'progress' && message.seq > this.since) this.durables.push(message.seq)
  }
}

/** A stored state as a client sees it, less the time of looking. */
export function viewFromStore(state: JobState): Omit<JobView, 'final'> {
  const { final: _final, ...view } = viewOf(runSnapshot(state))
  return view
}

export function withoutFinal(view: JobView): Omit<JobView, 'final'> {
  const { final: _final, ...rest } = view
  return rest
}
