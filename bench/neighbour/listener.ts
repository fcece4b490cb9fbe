import { WebSocket } from 'ws'
import { isSnapshot, type LiveMessage } from '../../src/client/job-view.js'
import { type JobWatch, watchJob } from '../../src/client/watch-job.js'
import { now } from './load.js'

/** A client of one run that notes what it was told and when it knew of the end. */
export class Listener {
  /** Seqs of the durable and final entries, and the values of measurements, as they were told. */
  readonly seqs: number[] = []
  readonly values: number[] = []
  /** Snapshots that began anew: what was told before them may have a hole. */
  anew = 0
  /** Seq of the first snapshot: what is older was never promised. */
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

  /** Resolves once it has the first snapshot. */
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

  /** Which of these seqs it should have been told of, and was not. */
  missing(seqs: readonly number[]): number[] {
    const told = new Set(this.seqs)
    return seqs.filter((seq) => seq > this.since && !told.has(seq))
  }

  #begin({ seq, recovered }: { readonly seq: number; readonly recovered?: boolean }): void {
    if (this.since < 0) this.since = seq
    else if (!recovered) this.anew += 1
  }

  #note(message: LiveMessage): void {
    if (message.type === 'progress') return
    if (message.type === 'completed') this.finalAt = now()
    this.seqs.push(message.seq)
    if (message.type === 'metric_update') this.values.push(message.value)
  }
}
