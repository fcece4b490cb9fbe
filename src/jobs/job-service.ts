import { randomBytes } from 'node:crypto'
import { v7 as uuidv7 } from 'uuid'
import { controlWriter, type Entry, type JobEvent } from '../core/entry.js'
import type { JobBrief, JobState } from '../core/job-state.js'
import { type Kind, type Kinds, opening, queueOf } from '../core/kind.js'
import type { StartNotice } from '../core/lifecycle.js'
import { isOwned, OWNER_SOLVER, solverOf } from '../core/solver.js'
import { storeClock } from '../core/store-clock.js'
import { isJobTimeout, MAX_TIMEOUT_S, MIN_TIMEOUT_S } from '../core/timeout.js'
import { isTraceparent } from '../core/traceparent.js'
import { inSpan, jobSpan } from '../core/tracing.js'
import { foldTitle, type JobWords, type Turn, turnOf } from '../core/words.js'
import { RuncastError } from '../protocol/codes.js'
import { isJobId } from '../protocol/job-id.js'
import { stringifyJson } from '../protocol/json.js'
import { isFinal, type Status } from '../protocol/status.js'
import { isDelay, isPriority, MAX_DELAY_MS, MAX_PRIORITY } from '../protocol/turn.js'
import { isUserId } from '../protocol/user-id.js'
import { queuedRoundOf } from '../queue/queue.js'
import type { FairScheduler } from '../storage/fair-scheduler.js'
import type { ActiveRounds, ChildJobs, HistoryPage, JobStore, ListFilter, NewJob, Phase } from '../storage/job-store.js'
import type { LinesPage, LinesQuery } from '../storage/telemetry.js'
import { cancelJob } from './cancel.js'
import { type Finalizer, updateActiveIndex } from './finalize.js'
import { idOfKey } from './idempotency.js'
import { digestOf, type InputCheck, normaliseInput, objectOf } from './input.js'
import { quotaError } from './quota.js'
import { scheduleStep } from './sweeper/schedule-step.js'
import { storedWords, type WordsChanges } from './words.js'

export interface Submission {
  /** Given by the client, or derived from the key, or a UUIDv7. */
  readonly id?: string
  /** Idempotency key: the same key, owner and kind identify the same job. */
  readonly key?: string
  readonly owner: string
  /** The name of the kind. */
  readonly kind: string
  readonly input: unknown
  /** Default: the first solver of the kind. */
  readonly solver?: string
  /**
   * The parent job. A child takes none of its owner's slots and does not count towards the quota, since the parent
   * does.
   */
  readonly parent?: string
  /** Whether the owner computes the job: see `ClaimService.own`. No worker gets it. */
  readonly claim?: boolean
  /** Timeout of an execution in seconds. Default: that of its solver or kind. */
  readonly timeoutS?: number
  /** The job starts so many ms after its submit, or later. */
  readonly delayMs?: number
  /** Among the jobs of its owner: 0 (the default) to 9, higher first. */
  readonly priority?: number
  /** W3C Trace Context of the submit. */
  readonly traceparent?: string
  /** Words about the job: no part of its input, so a repeated submit changes none. */
  readonly title?: string
  readonly tags?: readonly string[]
  readonly metadata?: object
}

/** Default timeouts of an execution in ms, by kind name, or by queue for a solver with its own timeout. */
export type Timeouts = Readonly<Record<string, number>>

/** A page of jobs, newest first. */
export interface JobPage {
  readonly jobs: readonly JobBrief[]
  readonly cursor?: string
}

/** Whether a user may view a job of this owner. A job that may not be viewed is reported as absent. */
export type View = (owner: string) => boolean

/** Selects entries of a log. */
export interface HistoryQuery {
  readonly after: number
  readonly limit: number
  /** Filter; default: all entries. `state` is that of the job. */
  isWanted?(entry: Entry, state: JobState): boolean
}

/** Maximum reads of the index for one page of a filtered list. */
const MAX_LOOKS = 20
/** The same for a list that an index has filtered. */
const MAX_FILTERED_LOOKS = 2
/** How many children a cancel of their parent reaches at once, and in all. */
const CHILDREN_AT_ONCE = 50
const MAX_CHILDREN = 1000
/** Maximum entries of a log per read. */
const MAX_HISTORY = 1000

export interface JobServicePorts extends Finalizer {
  readonly kinds: Kinds
  readonly store: JobStore & ChildJobs & ActiveRounds
  readonly scheduler: Pick<FairScheduler, 'reserve'>
  readonly timeoutsMs: Timeouts
  /** Names of the configured solvers, in addition to those of a kind itself. */
  readonly solvers: readonly string[]
  /** Further checks of submitted inputs, by kind name. */
  readonly inputChecks?: Readonly<Record<string, InputCheck>>
}

/**
 * Submit, read, list, cancel, pause and retry jobs. Every member rejects with a `RuncastError` for an error of the
 * caller.
 */
export class JobService {
  readonly #ports: JobServicePorts

  constructor(ports: JobServicePorts) {
    this.#ports = ports
  }

  /** Kinds that this process knows. */
  get kinds(): Kinds {
    return this.#ports.kinds
  }

  /** Names of the configured solvers, in addition to those of a kind itself. */
  get solvers(): readonly string[] {
    return this.#ports.solvers
  }

  /**
   * Enqueues a job, or rejects with `quota`. Idempotent: the same id and input from the same owner returns the existing
   * job, whatever the quota; otherwise rejects with `other_input` or `id_taken`. The order is fixed: quota, sweeper's
   * index, hash, both again together with the user's index, active-jobs index, queue. Once the hash is written, the
   * sweeper finds the job and enqueues it, whichever process dies.
   */
  async submit({ owner, input, key, timeoutS, id: given, title, tags, metadata, ...rest }: Submission): Promise<JobState> {
    const { kinds, timeoutsMs } = this.#ports
    const kind = kinds.find(rest.kind)
    if (!kind) throw new RuncastError('invalid', { issues: [{ path: '/kind', expected: 'the name of a registered kind' }] })
    const id = given ?? (key === undefined ? uuidv7() : idOfKey(owner, kind.name, key))
    if (!isJobId(id)) {
      throw new RuncastError('invalid', {
        issues: [
          {
            path: `/${kind.idField}`,
            expected: '1 to 128 of A-Z a-z 0-9 _ . -, beginning with a letter or digit, not only digits',
          },
        ],
      })
    }
    if (!isUserId(owner)) throw new RuncastError('invalid', { issues: [{ path: '/owner', expected: '1 to 256 characters, well formed' }] })
    if (timeoutS !== undefined && !isJobTimeout(timeoutS)) {
      throw new RuncastError('invalid', { issues: [{ path: '/timeoutS', expected: `seconds from ${MIN_TIMEOUT_S} to ${MAX_TIMEOUT_S}` }] })
    }
    checkTurn(rest)
    // any object, which this checks
    const words = storedWords({ title, tags, metadata: metadata as JobWords['metadata'] })
    const { traceparent } = rest
    if (traceparent !== undefined && !isTraceparent(traceparent))
      throw new RuncastError('invalid', { issues: [{ path: '/traceparent', expected: 'a traceparent of W3C Trace Context' }] })
    const parent = rest.parent ?? null
    const solver = rest.claim === true ? ownerOf(kind, rest.solver) : solverOf(kind, rest.solver, this.solvers)
    const isKnown = solver === null || isOwned({ solver })
    const normalised = isKnown ? normaliseInput(kind, input, this.solvers, this.#ports.inputChecks?.[kind.name]) : objectOf(input)
    const digest = digestOf(kind, solver === null ? normalised : { solver, input: normalised })
    const generation = randomBytes(6).toString('hex')
    const timeoutMs = timeoutS === undefined ? defaultTimeoutMs({ kind, solver }, timeoutsMs) : Math.round(timeoutS * 1000)
    const turn = turnFrom(rest)
    const first = kind.events.status(id, 'queued', undefined, startOf(turn))
    // The timestamp of its first event, so that every subscriber sees the same creation time.
    const created_at = String(first.message.timestamp)
    const record = {
      id,
      kind: kind.name,
      owner,
      solver,
      parent,
      input: stringifyJson(normalised),
      digest,
      timeoutMs,
      generation,
      created_at,
    }
    const isNamed = given !== undefined || key !== undefined
    const enqueue = (trace = traceparent) =>
      this.#enqueue({ ...record, ...turn, words, ...(trace !== undefined && { traceparent: trace }) }, first, isNamed)
    // A child belongs to the trace of its parent, which may have thousands.
    if (parent !== null) return enqueue()
    return inSpan({ ...jobSpan('submit', { id, kind, solver }), parent: traceparent }, enqueue)
  }

  /** `isNamed`: the job may be there already. */
  async #enqueue(job: NewJob, first: JobEvent, isNamed: boolean): Promise<JobState> {
    const { broker, store, queue } = this.#ports
    const { id, owner, parent, digest } = job
    if (!isNamed || (await broker.read(id)) === null) await this.#open({ id, owner, parent }, 1)
    const answer = await store.create(job, first)
    if (answer.created) this.#ports.tally?.submitted.add(job.kind)
    if (!answer.created && answer.existing.owner !== owner) throw new RuncastError('id_taken')
    if (!answer.created && answer.existing.digest !== digest) throw new RuncastError('other_input')
    const state = await this.#require(id, () => true)
    // Also for an existing job: its first submit may have died right here. Repeating it changes nothing.
    if (state.status === 'queued') {
      await updateActiveIndex(this.#ports, state, true)
      await queue.add(queuedRoundOf(state))
    }
    return state
  }

  /** `kind`: the name of a kind; null for any kind. */
  read(kind: string | null, id: string, view: View): Promise<JobState> {
    return this.#require(id, view, kind)
  }

  /**
   * The user's jobs of one kind or of all kinds, newest first; active jobs are ordered by the start of their last
   * execution. A page may hold fewer than `limit` jobs, even none, and still have a cursor, because expired jobs are
   * left out. With a `phase`, only jobs inside (or outside) the active-jobs index are read.
   */
  async list(owner: string, kind: string | null, limit: number, cursor?: string, phase?: Phase, filter: ListFilter = {}): Promise<JobPage> {
    const isFiltered = Object.keys(filter).length > 0
    const maxLooks = isFiltered ? MAX_FILTERED_LOOKS : MAX_LOOKS
    const jobs: JobBrief[] = []
    let next = cursor
    for (let looks = 0; looks < maxLooks; looks += 1) {
      const page = await this.#ports.store.list(owner, kind, limit - jobs.length, next, phase, filter)
      jobs.push(...(await this.#owned(owner, page.ids, phase)).filter((state) => fits(state, filter)))
      next = page.cursor
      if ((phase === undefined && !isFiltered) || next === undefined || jobs.length === limit) break
    }
    return { jobs, ...(next !== undefined && { cursor: next }) }
  }

  /**
   * The persisted entries after a seq that pass the filter, at most `limit`, and the state they lead to. Fewer than
   * `limit` entries, even none, mean the end of the log. Otherwise `next` is the seq to continue from.
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
    // If few entries pass the filter, the next read is larger.
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

  /** Lines of the log of a job. */
  async log(kind: string | null, id: string, view: View, query: LinesQuery): Promise<{ readonly id: string; readonly page: LinesPage }> {
    const state = await this.#require(id, view, kind)
    const page = await this.#ports.telemetry.lines(id, query)
    // The id may have passed to another owner meanwhile.
    if (!page || page.owner !== state.owner) throw new RuncastError('not_found')
    return { id: state.id, page }
  }

  /**
   * Changes words about a job, also after its end, and returns its state. Every follower of the job is told. Rejects
   * with `not_found`, and with `invalid` and the path of each faulty field.
   */
  async update(kind: string | null, id: string, view: View, changes: WordsChanges): Promise<JobState> {
    const words = storedWords(changes)
    const { owner } = await this.#require(id, view, kind)
    if (Object.keys(words).length > 0 && !(await this.#ports.store.setWords(id, owner, words))) throw new RuncastError('not_found')
    return this.#require(id, view, kind)
  }

  /**
   * Cancels a job, and then its children: see `cancelJob`. Returns the current status. If this process dies in between,
   * the sweeper ends the children once the job has ended.
   */
  async cancel(id: string, view: View): Promise<Status> {
    const status = await cancelJob(this.#ports, () => this.#require(id, view))
    const state = await this.#require(id, view)
    // The next step of a job in steps cancels those of its checkpoint.
    if (!state.kind.inSteps) await this.#cancelChildren(state)
    return status
  }

  /**
   * Pauses or resumes a job in steps. Running children continue to their end; waiting ones leave the queue until the
   * job is resumed. Returns the current status, `paused` or `running`. Rejects with `not_running` for a job that is in
   * neither status or not in steps.
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
   * Starts a new execution of a failed or cancelled job. Rejects with `not_final` for any other job, `is_part` for a
   * child job, `is_owned` for a job that its owner computes, and `quota` if its owner has no quota left. Of two
   * concurrent calls one writes the execution, and both return it. The order is fixed: quota, sweeper's index, hash,
   * sweeper's index again, owner's index, active-jobs index, queue. Once the execution is written, the sweeper finds
   * it, because it was added to the index before. It is added again afterwards, since a sweep in between may have
   * removed it.
   */
  async retry(id: string, view: View): Promise<JobState> {
    const { broker, store, feeds, queue } = this.#ports
    const ended = await this.#require(id, view)
    if (!isFinal(ended.status) || ended.status === 'completed') throw new RuncastError('not_final')
    if (ended.parent !== null) throw new RuncastError('is_part')
    if (isOwned(ended)) throw new RuncastError('is_owned')
    const round = ended.round + 1
    await this.#open(ended, round)
    const event = opening('round', ended.kind, ended.kind.events.status(id, 'queued', undefined, startOf(ended)))
    const written = await broker.publish(id, [event], controlWriter(round))
    const state = await this.#require(id, view)
    // `stale_round`: this write arrived twice, or another process was as fast. Repeating the rest changes nothing.
    if (!written.ok && (written.reason !== 'stale_round' || state.round !== round)) throw new RuncastError('not_final')
    await store.reactivate({ ...state, kind: state.kind.name })
    if (written.ok) this.#ports.tally?.retried.add(state.kind.name)
    if (state.status === 'queued') {
      await feeds.add(state.owner, id, true)
      // It may have been cancelled meanwhile.
      await updateActiveIndex(this.#ports, state, true)
      await queue.add(queuedRoundOf(state))
    }
    return state
  }

  /** Cancels the first children of a job that have not ended. The sweeper ends further ones, and theirs. */
  async #cancelChildren({ id, owner }: JobState): Promise<void> {
    let cursor: string | undefined
    for (let read = 0; read < MAX_CHILDREN; read += CHILDREN_AT_ONCE) {
      const page = await this.#ports.store.list(owner, null, CHILDREN_AT_ONCE, cursor, 'active', { parent: id })
      await Promise.all(page.ids.map((child) => this.#cancelChild(child, id)))
      cursor = page.cursor
      if (cursor === undefined) return
    }
  }

  /** Nothing happens to a child that has ended, or that is of a kind that this process does not know. */
  async #cancelChild(id: string, parent: string): Promise<void> {
    const state = await this.#known(id)
    if (state?.parent !== parent || isFinal(state.status) || state.status === 'cancelling') return
    await cancelJob(this.#ports, () => this.#require(id, () => true)).catch((error: unknown) => {
      if (!(error instanceof RuncastError && ['already_final', 'not_found'].includes(error.code))) throw error
    })
  }

  /**
   * Runs before an execution is written: reserves the owner's quota, then adds to the sweeper's index, so that the
   * sweeper cannot miss it.
   */
  async #open({ id, owner, parent }: Pick<JobState, 'id' | 'owner' | 'parent'>, number: number): Promise<void> {
    const { scheduler, store } = this.#ports
    const round = { id, round: number }
    const reserved = await scheduler.reserve(owner, round, parent !== null)
    if (!reserved.ok) throw quotaError(reserved)
    await store.activate(round, storeClock.now())
  }

  /**
   * The jobs of these ids that exist. Ids that have expired or now belong to another owner are removed from the owner's
   * index.
   */
  async #owned(owner: string, ids: readonly string[], phase: Phase | undefined): Promise<JobBrief[]> {
    const read = await Promise.all(ids.map(async (id) => ({ id, state: await this.#known(id) })))
    const expired = read.filter(({ state }) => state !== null && state?.owner !== owner)
    await Promise.all(expired.map(({ id }) => this.#ports.store.forget(owner, id)))
    const isWanted = (state: JobBrief) => phase === undefined || (phase === 'final') === isFinal(state.status)
    return read.flatMap(({ state }) => (state?.owner === owner && isWanted(state) ? [state] : []))
  }

  /** Undefined for an expired job; null for one of a kind that this process does not know. */
  async #known(id: string): Promise<JobBrief | null | undefined> {
    try {
      return (await this.#ports.broker.readBrief(id)) ?? undefined
    } catch (error) {
      if (error instanceof RuncastError && error.code === 'not_found') return null
      throw error
    }
  }

  async #require(id: string, view: View, kind?: string | null): Promise<JobState> {
    const state = isJobId(id) ? (await this.#ports.broker.read(id))?.state : undefined
    if (!state || !view(state.owner) || (kind && state.kind.name !== kind)) throw new RuncastError('not_found')
    return state
  }
}

/** The solver of a job that its owner computes. Throws `invalid` if jobs of the kind cannot be claimed. */
function ownerOf({ name, claimEvents }: Kind, solver: string | undefined): string {
  if (claimEvents === null)
    throw new RuncastError('invalid', { issues: [{ path: '/claim', expected: `false: jobs of the kind ${name} cannot be claimed` }] })
  if (solver !== undefined)
    throw new RuncastError('invalid', { issues: [{ path: '/solver', expected: 'to be absent: the owner computes the job' }] })
  return OWNER_SOLVER
}

function checkTurn({ delayMs, priority, claim }: Pick<Submission, 'delayMs' | 'priority' | 'claim'>): void {
  const fault = (path: string, expected: string) => new RuncastError('invalid', { issues: [{ path, expected }] })
  if (delayMs !== undefined && !isDelay(delayMs)) throw fault('/delayMs', `an integer from 0 to ${MAX_DELAY_MS} ms`)
  if (priority !== undefined && !isPriority(priority)) throw fault('/priority', `an integer from 0 to ${MAX_PRIORITY}`)
  if (claim && delayMs !== undefined) throw fault('/delay_ms', 'to be absent: the owner computes the job at once')
}

/** The turn of a new job. A delay of 0 and a priority of 0 are none. */
function turnFrom({ delayMs, priority }: Pick<Submission, 'delayMs' | 'priority'>): Turn {
  const not_before = delayMs ? new Date(storeClock.now() + delayMs).toISOString() : undefined
  return turnOf({ ...(not_before !== undefined && { not_before }), ...(priority && { priority }) })
}

/** Says when a queued job starts, unless it may start now. */
function startOf({ not_before }: Turn): StartNotice {
  return not_before !== undefined && Date.parse(not_before) > storeClock.now() ? { not_before } : {}
}

/** Whether a job passes a filter: an index may be a moment behind. */
function fits({ status, words, parent, created_at }: JobBrief, filter: ListFilter): boolean {
  const { since = Number.NEGATIVE_INFINITY, until = Number.POSITIVE_INFINITY, tag, title } = filter
  const at = Date.parse(created_at)
  return (
    (filter.status === undefined || status === filter.status) &&
    (filter.parent === undefined || parent === filter.parent) &&
    (tag === undefined || words?.tags?.includes(tag) === true) &&
    (title === undefined || foldTitle(words?.title ?? '').startsWith(foldTitle(title))) &&
    at >= since &&
    at <= until
  )
}

function defaultTimeoutMs(job: { readonly kind: Kind; readonly solver: string | null }, timeoutsMs: Timeouts): number {
  const { name, timeoutS } = job.kind
  const ms = timeoutsMs[queueOf(job)] ?? timeoutsMs[name] ?? (typeof timeoutS === 'number' ? timeoutS * 1000 : undefined)
  if (ms === undefined) throw new TypeError(`the kind ${name} has no timeout`)
  return ms
}
