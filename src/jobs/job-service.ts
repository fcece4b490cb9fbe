import { randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { controlWriter, type Entry } from '../core/entry.js'
import type { JobState } from '../core/job-state.js'
import { type Kind, type Kinds, opening, queueOf } from '../core/kind.js'
import { solverOf } from '../core/solver.js'
import { storeClock } from '../core/store-clock.js'
import { isJobTimeout, MAX_TIMEOUT_S, MIN_TIMEOUT_S } from '../core/timeout.js'
import { RuncastError } from '../protocol/codes.js'
import { isJobId } from '../protocol/job-id.js'
import { stringifyJson } from '../protocol/json.js'
import { isFinal, type Status } from '../protocol/status.js'
import { isUserId } from '../protocol/user-id.js'
import { queuedRoundOf } from '../queue/queue.js'
import type { FairScheduler, Reserved } from '../storage/fair-scheduler.js'
import type { ActiveRounds, HistoryPage, JobParts, JobStore, Phase } from '../storage/job-store.js'
import { cancelJob } from './cancel.js'
import { type Finalizer, tellOwner } from './finalize.js'
import { idOfKey } from './idempotency.js'
import { digestOf, normaliseInput, objectOf } from './input.js'
import { scheduleStep } from './sweeper/schedule-step.js'

export interface Submission {
  /** Client-supplied, or made of the key, or a UUIDv7. */
  readonly id?: string
  /** The same key, owner and kind again is the same job. */
  readonly key?: string
  readonly owner: string
  /** Its name. */
  readonly kind: string
  readonly input: unknown
  /** Without it the first one of its kind. */
  readonly solver?: string
  /** The job that it is a part of: it takes none of its owner's places and is not counted, since that one is. */
  readonly parent?: string
  /** How long a round may take, in seconds; without it as long as its solver or kind may. */
  readonly timeoutS?: number
}

/** How long a round may take where its submit does not say, in ms: by name of the kind, and by queue where a solver has a time of its own. */
export type Timeouts = Readonly<Record<string, number>>

/** A page of jobs, newest first. */
export interface JobPage {
  readonly jobs: readonly JobState[]
  readonly cursor?: string
}

/** Whether a user may see a job of this owner. To whom it is not shown, it does not exist. */
export type View = (owner: string) => boolean

/** Which entries of a log. */
export interface HistoryQuery {
  readonly after: number
  readonly limit: number
  /** All without it; `state`: that of the job. */
  isWanted?(entry: Entry, state: JobState): boolean
}

/** How often one page of a filtered list asks for more jobs to look at. */
const MAX_LOOKS = 20
/** Most entries of a log that are read at once. */
const MAX_HISTORY = 1000

/** What is said where a limit is reached, by which. */
const LIMITS = {
  hour: { code: 'quota', message: 'This user has submitted as many jobs as are allowed in an hour.' },
  waiting: { code: 'quota', message: 'As many jobs of this user wait as are allowed to.' },
  full: { code: 'overloaded', message: 'As many jobs wait as are allowed to; try again later.' },
} as const

export interface JobServicePorts extends Finalizer {
  readonly kinds: Kinds
  readonly store: JobStore & JobParts & ActiveRounds
  readonly scheduler: Pick<FairScheduler, 'reserve'>
  readonly timeoutsMs: Timeouts
  /** Names of the solvers that are configured, beside those that a kind has of its own. */
  readonly solvers: readonly string[]
}

/** The life of jobs as their users steer it. Every member rejects with a `RuncastError` for what the caller did wrong. */
export class JobService {
  readonly #ports: JobServicePorts

  constructor(parts: JobServicePorts) {
    this.#ports = parts
  }

  /** Those that this process knows. */
  get kinds(): Kinds {
    return this.#ports.kinds
  }

  /** Names of the solvers that are configured, beside those that a kind has of its own. */
  get solvers(): readonly string[] {
    return this.#ports.solvers
  }

  /**
   * Enqueues a job, or rejects with `quota`. The same id and input again by its owner is answered with the job as it is, whatever the quota; `other_input` and
   * `id_taken` otherwise. The order (quota, sweeper's index, hash, both again with the user's index, announcement, queue) is fixed: from the moment that the hash is
   * written, whatever dies, the sweeper finds the job and puts it into the queue.
   */
  async submit({ owner, input, key, timeoutS, id: given, ...rest }: Submission): Promise<JobState> {
    const { broker, store, queue, kinds, timeoutsMs } = this.#ports
    const kind = kinds.find(rest.kind)
    if (!kind) throw new RuncastError('invalid', { issues: [{ path: '/kind', expected: 'a kind that this program knows' }] })
    const id = given ?? (key === undefined ? uuidv7() : idOfKey(owner, kind.name, key))
    if (!isJobId(id)) {
      throw new RuncastError('invalid', {
        issues: [
          {
            path: `/${kind.idField}`,
            expected: '1 to 128 of A-Z a-z 0-9 _ . -, beginning with a letter or digit, not digits alone',
          },
        ],
      })
    }
    if (!isUserId(owner)) throw new RuncastError('invalid', { issues: [{ path: '/owner', expected: '1 to 256 characters, well formed' }] })
    if (timeoutS !== undefined && !isJobTimeout(timeoutS)) {
      throw new RuncastError('invalid', { issues: [{ path: '/timeoutS', expected: `seconds from ${MIN_TIMEOUT_S} to ${MAX_TIMEOUT_S}` }] })
    }
    const parent = rest.parent ?? null
    const solver = solverOf(kind, rest.solver, this.solvers)
    const normalised = solver === null ? normaliseInput(kind, input, this.solvers) : objectOf(input)
    const digest = digestOf(kind, solver === null ? normalised : { solver, input: normalised })
    const generation = randomBytes(6).toString('hex')
    const timeoutMs = timeoutS === undefined ? defaultTimeoutMs({ kind, solver }, timeoutsMs) : Math.round(timeoutS * 1000)
    const first = kind.events.status(id, 'queued')
    // The moment that its first message says too, so that whoever is told of the job from there on knows the same.
    const created_at = String(first.message.timestamp)
    const job = { id, kind: kind.name, owner, solver, parent, input: stringifyJson(normalised), digest, timeoutMs, generation, created_at }
    const isNew = (given === undefined && key === undefined) || (await broker.read(id)) === null
    if (isNew) await this.#open({ id, owner, parent }, 1)
    const answer = await store.create(job, first)
    if (answer.created) this.#ports.tally?.submitted.add(kind.name)
    if (!answer.created && answer.existing.owner !== owner) throw new RuncastError('id_taken')
    if (!answer.created && answer.existing.digest !== digest) throw new RuncastError('other_input')
    const state = await this.#require(id, () => true)
    // Also where it was there before: its first submit may have died right here. Doing it again changes nothing.
    if (state.status === 'queued') {
      await tellOwner(this.#ports, state, true)
      await queue.add(queuedRoundOf(state))
    }
    return state
  }

  /** `kind`: its name; null where any will do. */
  read(kind: string | null, id: string, view: View): Promise<JobState> {
    return this.#require(id, view, kind)
  }

  /**
   * Own jobs of one kind or of all, newest first; of the active ones those first whose round began last. A page may hold fewer than `limit`, also none, and yet
   * have a cursor: what has expired is left out. With a `phase` only jobs are read that the index of the active ones has in it, or not.
   */
  async list(owner: string, kind: string | null, limit: number, cursor?: string, phase?: Phase): Promise<JobPage> {
    const jobs: JobState[] = []
    let next = cursor
    for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
      const page = await this.#ports.store.list(owner, kind, limit - jobs.length, next, phase)
      jobs.push(...(await this.#owned(owner, page.ids, phase)))
      next = page.cursor
      if (phase === undefined || next === undefined || jobs.length === limit) break
    }
    return { jobs, ...(next !== undefined && { cursor: next }) }
  }

  /**
   * The durable entries after a seq that are wanted, at most `limit`, and the state that they lead to. Fewer than `limit`, also none, are there only at the end of
   * the log; else `next` is the seq to go on from.
   */
  async history(
    kind: string | null,
    id: string,
    view: View,
    { after, limit, isWanted = () => true }: HistoryQuery,
  ): Promise<{ state: JobState; page: HistoryPage; next: number | null }> {
    const state = await this.#require(id, view, kind)
    const entries: Entry[] = []
    let from = after
    let truncated = false
    // Where few are wanted the next look is for more.
    for (let size = limit; ; size = Math.min(2 * size, MAX_HISTORY)) {
      const page = await this.#ports.store.history(id, from, size)
      if (!page) throw new RuncastError('not_found')
      truncated ||= page.truncated
      entries.push(...page.entries.filter((entry) => isWanted(entry, state)).slice(0, limit - entries.length))
      const last = page.entries.at(-1)
      const isFull = entries.length === limit
      if (isFull || !last || page.entries.length < size)
        return { state, page: { ...page, entries, truncated }, next: (isFull && entries.at(-1)?.seq) || null }
      from = last.seq
    }
  }

  /** A job that waits ends at once; one that runs is told to, wherever it runs. Answers with the status now. */
  cancel(id: string, view: View): Promise<Status> {
    return cancelJob(this.#ports, () => this.#require(id, view))
  }

  /**
   * Pauses a job that goes on in steps, or lets it go on: what is computed goes on to its end, what waits is taken back until then. Answers with the status now,
   * `paused` or `running`; `not_running` for a job that is in neither, or in no steps.
   */
  async pause(kind: string | null, id: string, view: View, to: 'paused' | 'running'): Promise<Status> {
    const state = await this.#require(id, view, kind)
    if (!state.kind.inSteps) throw new RuncastError('not_running')
    const event = { ...state.kind.events.status(id, to), from: [to === 'paused' ? 'running' : 'paused'] as const }
    const answer = await this.#ports.broker.publish(id, [event], controlWriter(state.round))
    if (!answer.ok && answer.status !== to) throw new RuncastError('not_running')
    await scheduleStep(this.#ports, state)
    return to
  }

  /**
   * A new round of a job that failed or was cancelled; `not_final` for any other, `is_part` for a part of another one, `quota` where its owner has no more. Of two at the same moment one writes the round and both are answered with it.
   * The order (quota, sweeper's index, hash, sweeper's index again, owner's index, announcement, queue) is fixed: from the moment that the round is written the
   * sweeper finds it. It stands in the index before; and since a sweeper that came in between has taken it out again, it is put in once more.
   */
  async retry(id: string, view: View): Promise<JobState> {
    const { broker, store, feeds, queue } = this.#ports
    const ended = await this.#require(id, view)
    if (!isFinal(ended.status) || ended.status === 'completed') throw new RuncastError('not_final')
    if (ended.parent !== null) throw new RuncastError('is_part')
    const round = ended.round + 1
    await this.#open(ended, round)
    const event = opening('round', ended.kind, ended.kind.events.status(id, 'queued'))
    const written = await broker.publish(id, [event], controlWriter(round))
    const state = await this.#require(id, view)
    // `stale_round`: this very write arrived twice, or somebody else was as fast. What follows changes nothing where it was done before.
    if (!written.ok && (written.reason !== 'stale_round' || state.round !== round)) throw new RuncastError('not_final')
    await store.reactivate({ ...state, kind: state.kind.name })
    if (written.ok) this.#ports.tally?.retried.add(state.kind.name)
    if (state.status === 'queued') {
      await feeds.add(state.owner, id, true)
      // It may have been cancelled meanwhile.
      await tellOwner(this.#ports, state, true)
      await queue.add(queuedRoundOf(state))
    }
    return state
  }

  /** What comes before a round is written: its owner's quota, then the sweeper's index, which must not miss it. */
  async #open({ id, owner, parent }: Pick<JobState, 'id' | 'owner' | 'parent'>, number: number): Promise<void> {
    const { scheduler: gate, store } = this.#ports
    const round = { id, round: number }
    const reserved = await gate.reserve(owner, round, parent !== null)
    if (!reserved.ok) throw refusalOf(reserved)
    await store.activate(round, storeClock.now())
  }

  /** Those of these jobs that there are; what has expired, or is another's by now, leaves the owner's index. */
  async #owned(owner: string, ids: readonly string[], phase: Phase | undefined): Promise<JobState[]> {
    const read = await Promise.all(ids.map(async (id) => ({ id, state: (await this.#ports.broker.read(id))?.state })))
    const expired = read.filter(({ state }) => state?.owner !== owner)
    await Promise.all(expired.map(({ id }) => this.#ports.store.forget(owner, id)))
    const isWanted = (state: JobState) => phase === undefined || (phase === 'final') === isFinal(state.status)
    return read.flatMap(({ state }) => (state?.owner === owner && isWanted(state) ? [state] : []))
  }

  async #require(id: string, view: View, kind?: string | null): Promise<JobState> {
    const state = isJobId(id) ? (await this.#ports.broker.read(id))?.state : undefined
    if (!state || !view(state.owner) || (kind && state.kind.name !== kind)) throw new RuncastError('not_found')
    return state
  }
}

function refusalOf(reserved: Extract<Reserved, { ok: false }>): RuncastError {
  if (reserved.reason !== 'bytes') {
    const { code, message } = LIMITS[reserved.reason]
    return new RuncastError(code, { message, retryAfterMs: reserved.retryAfterMs })
  }
  const { bytes, limit, retryAfterMs } = reserved
  const message = `The jobs of this user take ${bytes} bytes, which reaches MAX_BYTES_PER_USER (${limit}); they expire some time after their end.`
  return new RuncastError('quota', { message, retryAfterMs })
}

function defaultTimeoutMs(job: { readonly kind: Kind; readonly solver: string | null }, timeoutsMs: Timeouts): number {
  const { name, timeoutS } = job.kind
  const ms = timeoutsMs[queueOf(job)] ?? timeoutsMs[name] ?? (typeof timeoutS === 'number' ? timeoutS * 1000 : undefined)
  if (ms === undefined) throw new TypeError(`no timeout of the kind ${name}`)
  return ms
}
