import { WebSocket } from 'ws'
import { isSnapshot, type LiveMessage } from '../../src/client/job-view.js'
import { type JobWatch, watchJob } from '../../src/client/watch-job.js'
import { now } from './load.js'

/** A client of one run that records its messages and when it received the final one. */
export class Listener {
  /** Seqs of the persisted and final entries, and the values of metrics, in order of arrival. */
  readonly seqs: number[] = []
  readonly values: number[] = []
  /** Snapshots without recovery: entries before them may be missing. */
  resyncs = 0
  /** Seq of the first snapshot; older entries are not expected. */
  since = -1
  finalAt = Number.NaN
  readonly #watch: JobWatch

  constructor(hubUrl: string, id: string, token: string) {
    this.#watch = watchJob({
      url: `${hubUrl}/api/v2/ws/runs/${id}`,
      token: () => token,
      WebSocket,
      onMessage: (message) => {
        if (isSnapshot(message)) this.#begin(message)
        else this.#note(message)
      },
    })
  }

  /** Resolves with the first snapshot. */
  async ready(): Promise<void> {
    await this.#watch.until(() => true)
  }

  /** Resolves with the final message. */
  async finished(): Promise<LiveMessage> {
    const { final } = await this.#watch.finished()
    this.#watch.close()
    if (final?.type !== 'completed') throw new Error(`a run ended in ${JSON.stringify(final)}`)
    return final
  }

  /** The expected seqs that it did not receive. */
  missing(seqs: readonly number[]): number[] {
    const received = new Set(this.seqs)
    return seqs.filter((seq) => seq > this.since && !received.has(seq))
  }

  #begin({ seq, recovered }: { readonly seq: number; readonly recovered?: boolean }): void {
    if (this.since < 0) this.since = seq
    else if (!recovered) this.resyncs += 1
  }

  #note(message: LiveMessage): void {
    if (message.type === 'progress') return
    if (message.type === 'completed') this.finalAt = now()
    this.seqs.push(message.seq)
    if (message.type === 'metric_update') this.values.push(message.value)
  }
}
