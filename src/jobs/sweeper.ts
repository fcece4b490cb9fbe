import type { JobRound } from '../broker/job-store.js'
import { type JobState, messageOf } from '../protocol/job-state.js'
import { KIND_NAMES } from '../protocol/kinds.js'
import { isFinal } from '../protocol/status.js'
import { type Finalizer, finalize, tellOwner } from './finalize.js'
import type { QueueRef } from './queue.js'

export interface SweeperOptions {
  readonly intervalMs: number
  /** How long a running job may take to obey a cancel before it is ended by force. */
  readonly cancelGraceMs: number
  readonly onFault: (error: unknown) => void
}

const BATCH = 200

/**
 * Looks after jobs whose process died at a bad moment: submitted but not in the queue, ended in the queue but not told, cancelled but deaf.
 * Every hub and worker runs one; they may meet, since all they do is idempotent.
 */
export class Sweeper {
  readonly #parts: Finalizer
  readonly #options: SweeperOptions
  readonly #timer: NodeJS.Timeout
  #sweeping: Promise<void> | undefined

  constructor(parts: Finalizer, options: SweeperOptions) {
    this.#parts = parts
    this.#options = options
    this.#timer = setInterval(() => void this.sweep().catch(options.onFault), options.intervalMs).unref()
  }

  /** One round over the jobs that nobody has looked at for an interval. Concurrent calls share it. */
  sweep(): Promise<void> {
    this.#sweeping ??= this.#sweep().finally(() => {
      this.#sweeping = undefined
    })
    return this.#sweeping
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#sweeping?.catch(() => {})
  }

  async #sweep(): Promise<void> {
    const { store, queue } = this.#parts
    // Whatever is wrong with handing out, jobs are looked after.
    await queue.dispatch().catch(this.#options.onFault)
    const rounds = await store.active(Date.now() - this.#options.intervalMs, BATCH)
    for (const round of rounds) {
      await this.#look(round).catch(async (error: unknown) => {
        this.#options.onFault(error)
        // To the end of the line, so that those behind it get their turn.
        await store.touch(round, Date.now()).catch(this.#options.onFault)
      })
    }
  }

  async #look(round: JobRound): Promise<void> {
    const { broker, store, queue } = this.#parts
    const state = (await broker.read(round.id))?.state
    // Expired; or ahead of its job: the submit or the retry died before it was written.
    if (!state || state.round < round.round) return this.#drop(round)
    const ref: QueueRef = { kind: state.kind, ...round }
    const isOver = isFinal(state.status) || state.round > round.round
    // Its submit, its retry, or its end may have died before this; else this only keeps what the owner has.
    await tellOwner(this.#parts, state, !isFinal(state.status))
    if (isOver) return (await queue.remove(ref)) ? store.retire(round) : store.touch(round, Date.now())
    const queued = await queue.state(ref)
    if (queued.at === 'ended') return finalize(this.#parts, ref, queued.outcome)
    if (state.status === 'cancelling' && this.#isOverdue(state)) return finalize(this.#parts, ref, { status: 'cancelled' })
    if (queued.at === 'missing') return this.#restore(state, ref)
    return store.touch(round, Date.now())
  }

  /** Forgets a round that there is not, or not yet: one that was only late, and is there by now, is put in again. */
  async #drop(round: JobRound): Promise<void> {
    const { broker, store, queue } = this.#parts
    for (const kind of KIND_NAMES) await queue.remove({ kind, ...round })
    await store.retire(round)
    if ((await broker.read(round.id))?.state.round === round.round) await store.activate(round, Date.now())
  }

  /** The queue has nothing of a job that has not ended: one that never began is added again, one that began is lost. */
  async #restore(state: JobState, ref: QueueRef): Promise<void> {
    const { broker, queue } = this.#parts
    if (state.status === 'queued') return queue.add({ ...ref, owner: state.owner })
    if (state.status === 'cancelling') return finalize(this.#parts, ref, { status: 'cancelled' })
    // Read again: it may have ended, been told and been removed between the two looks.
    const now = (await broker.read(ref.id))?.state
    if (now?.status !== state.status || now.round !== state.round) return
    const error = 'The queue has lost this job.'
    return finalize(this.#parts, ref, { status: 'failed', code: 'worker_lost', error, log_tail: '' })
  }

  #isOverdue(state: JobState): boolean {
    const entry = state.latest.get('status')
    return entry !== undefined && Date.now() - Date.parse(String(messageOf(entry).timestamp)) > this.#options.cancelGraceMs
  }
}
