import { setTimeout as pause } from 'node:timers/promises'
import { inputOf, type JobState } from '../../core/job-state.js'
import { type Kinds, queueOf } from '../../core/kind.js'
import { isOwned, solverOf } from '../../core/solver.js'
import { storeClock } from '../../core/store-clock.js'
import { Tally } from '../../core/tally.js'
import { deadlineOf } from '../../core/timeout.js'
import type { Assignment, ClaimAnswer, ClaimPost } from '../../protocol/claim-messages.js'
import { RuncastError } from '../../protocol/codes.js'
import { isFinal } from '../../protocol/status.js'
import type { ClaimedRound } from '../../queue/claims.js'
import type { Settled } from '../../queue/queue.js'
import type { NewArtifact } from '../../storage/artifact-records.js'
import type { ArtifactService } from '../artifacts/artifact-service.js'
import { type Attempt, attemptAtStart, attemptNow, cancelled, overBeforeStart, startEvents } from '../attempt.js'
import { conclude } from './claim-end.js'
import { type ClaimPorts, handlePost, notOfKinds, type Reporter, START_N } from './claim-post.js'
import { ClaimRecovery } from './claim-recovery.js'
import { type ClaimUpload, handleUpload } from './claim-upload.js'
import { CHECK_MS, LongPollWaiters } from './long-poll-waiters.js'

export interface ClaimServiceOptions extends Omit<ClaimPorts, 'markActive'> {
  readonly artifacts: ArtifactService
  readonly kinds: Kinds
  /** Names of the configured solvers. */
  readonly solvers: readonly string[]
  /** Receives errors outside of a request. */
  readonly onFault: (error: unknown) => void
}

/** A request for a job. */
export interface ClaimRequest {
  /** Name of a claimable kind. */
  readonly kind: string
  /** Default: the kind's own. */
  readonly solver: string | undefined
  /** Nobody else may write. */
  readonly by: Reporter
  readonly waitMs: number
  /** Aborted when the client no longer waits for the answer. */
  readonly gone: AbortSignal
  /** Throws if the client may no longer get a job, since the wait may be long. */
  confirm(): void
}

/** An owner who wants to compute a job. */
export type OwnRequest = Pick<ClaimRequest, 'gone' | 'confirm'> & { readonly by: Pick<Reporter, 'sub'> }

/** How long the submit of an owner's job waits for its turn in the queue. */
const OWN_WAIT_MS = 5000

/**
 * Leases jobs to external workers. To subscribers and to the sweeper such a worker is like any other: it starts the
 * job, is fenced, is lost, and ends the job by the same rules.
 */
export class ClaimService {
  readonly #ports: ClaimServiceOptions
  readonly #waiters: LongPollWaiters
  readonly #recovery: ClaimRecovery
  /** Leased jobs, by queue. */
  readonly taken = new Tally<[queue: string]>()
  readonly #background = new Set<Promise<void>>()
  #draining = false

  constructor(options: ClaimServiceOptions) {
    this.#ports = options
    const { claims, lockMs, onFault } = options
    this.#waiters = new LongPollWaiters(claims, onFault)
    this.#recovery = new ClaimRecovery(claims, { lockMs, onFault, isWanted: (queue) => this.#waiters.isWanted(queue) })
  }

  /** Number of waiting requests. */
  get waiting(): number {
    return this.#waiters.waiting
  }

  /**
   * Leases the next job, started. Null if none arrives in time, or the hub starts to drain meanwhile. Rejects with
   * `restart` if the hub drains already, with `forbidden` for a kind that the token does not name, with
   * `invalid` for a solver that is not configured, with `overloaded` if too many requests wait, and as `confirm`
   * throws.
   */
  async claim(request: ClaimRequest): Promise<Assignment | null> {
    const { solver, waitMs, gone, by } = request
    const { kinds, solvers } = this.#ports
    const kind = kinds.get(request.kind)
    if (by.kinds && !by.kinds.includes(kind.name)) throw new RuncastError('forbidden', notOfKinds(by.kinds))
    if (this.#draining) throw new RuncastError('restart')
    const queue = queueOf({ kind, solver: solverOf(kind, solver, solvers) })
    this.#recovery.markActive(queue)
    const until = performance.now() + waitMs
    // If the client disconnects, the next wait ends at once.
    for (;;) {
      const taken = await this.#waiters.wait(queue, Math.max(0, until - performance.now()), gone)
      if (!taken) return null
      const assignment = await this.#begin(taken, request)
      if (assignment) return assignment
    }
  }

  /**
   * Leases a job, started, to its owner, who has submitted it with `claim`. Until the first post, the same call has the
   * same answer, on any hub. Afterwards it rejects with `stale_writer`, and after the end with `already_final`. Rejects
   * with `restart` if the hub drains, with `overloaded` if the job does not get its turn in time, and as `confirm`
   * throws.
   */
  async own(id: string, request: OwnRequest): Promise<Assignment> {
    const { broker, claims } = this.#ports
    const until = performance.now() + OWN_WAIT_MS
    while (!this.#draining) {
      const state = (await broker.read(id))?.state
      if (!state || state.owner !== request.by.sub || !isOwned(state)) throw new RuncastError('not_found')
      if (isFinal(state.status)) throw new RuncastError('already_final')
      const leased = await this.#leased(state)
      if (leased) return leased
      const queue = queueOf(state)
      this.#recovery.markActive(queue)
      const taken = await claims.claim(queue)
      if (taken) {
        const isWanted = taken.id === id
        // The job of another submit is started for its owner, who gets the lease from the hub that serves the submit.
        const assignment = await this.#begin(taken, isWanted ? request : NOBODY)
        if (isWanted && assignment) return assignment
      }
      if (request.gone.aborted || performance.now() >= until)
        throw new RuncastError('overloaded', {
          message: 'The job has not got its turn yet; submit it again with the same id.',
          retryAfterMs: 1000,
        })
      if (!taken) await pause(CHECK_MS)
    }
    throw new RuncastError('restart')
  }

  /** See `handlePost`. */
  post(id: string, by: Reporter, post: ClaimPost): Promise<ClaimAnswer> {
    return this.#counted(handlePost(this.#forClaims, id, by, post))
  }

  /** See `handleUpload`. */
  upload(id: string, by: Reporter, upload: ClaimUpload): Promise<NewArtifact | null> {
    return this.#counted(handleUpload(this.#forClaims, id, by, upload))
  }

  /** Ends the waiting requests and rejects new ones. Posts are accepted until `close`. */
  async drain(): Promise<void> {
    this.#draining = true
    await this.#waiters.close()
  }

  async close(): Promise<void> {
    await this.drain()
    await this.#recovery.close()
    await Promise.all(this.#background)
    await this.#ports.claims.close()
  }

  get #forClaims(): ClaimPorts & { readonly artifacts: ArtifactService } {
    return { ...this.#ports, markActive: (queue) => this.#recovery.markActive(queue) }
  }

  /** Counts a fenced worker. */
  async #counted<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer
    } catch (error) {
      if (error instanceof RuncastError && error.code === 'stale_writer') this.#ports.attempts?.fenced.add('stale_writer')
      throw error
    }
  }

  /** The lease that an owner has and has not used yet; null before the start. */
  async #leased(state: JobState): Promise<Assignment | null> {
    const { claims, lockMs } = this.#ports
    const { id, round, token } = state
    if (state.status === 'queued') return null
    const claim = { queue: queueOf(state), id, round, token }
    const record = await claims.read(claim)
    if (!record || record.by !== state.owner || record.n > 0) throw new RuncastError('stale_writer')
    if (!(await claims.renew(claim, record.lock))) throw new RuncastError('stale_writer')
    const deadlineMs = deadlineOf(state) ?? record.startedAt + state.timeoutMs
    return assignmentOf({ ...claim, lock: record.lock, input: inputOf(state, null) }, attemptNow(state), {
      lockMs,
      deadlineMs,
      traceparent: state.traceparent,
    })
  }

  /** Writes the start. Null if there is nothing to start. */
  async #begin(taken: ClaimedRound, request: Pick<ClaimRequest, 'by' | 'gone' | 'confirm'> | OwnRequest): Promise<Assignment | null> {
    const { broker, claims, queue, lockMs } = this.#ports
    const { id, round, token, lock } = taken
    // The job is taken, so the next one may enter the queue. The sweeper repairs a failure here.
    this.#follow(queue.started(taken))
    const state = (await broker.read(id))?.state
    if (!state || state.round !== round || isFinal(state.status) || state.kind.claimEvents === null)
      return this.#conclude(taken, { how: 'refused' })
    const attempt = attemptAtStart(state)
    const over = overBeforeStart(attempt, state)
    if (over) return this.#conclude(taken, over)
    if (!(await this.#isWanted(taken, request))) return null
    const startedAt = storeClock.now()
    // Before the start, so that a worker that has received it can write.
    await claims.write(taken, { by: isOwned(state) ? state.owner : request.by.sub, lock, startedAt, n: 0, logTail: [] })
    if (!(await this.#isWanted(taken, request))) return null
    const written = await broker.publish(id, startEvents(attempt), { round, token, n: START_N })
    if (!written.ok) return this.#conclude(taken, written.reason === 'transition' ? cancelled() : { how: 'refused' })
    this.#ports.attempts?.started.add(taken.queue)
    this.taken.add(taken.queue)
    return assignmentOf({ ...taken, input: inputOf(state, taken.input) }, attempt, {
      lockMs,
      deadlineMs: deadlineOf(state) ?? startedAt + state.timeoutMs,
      traceparent: state.traceparent,
    })
  }

  /**
   * Whether the client still waits. Otherwise the job is returned to the queue, without using up an attempt. Rejects as
   * `confirm` throws.
   */
  async #isWanted(taken: ClaimedRound, { gone, confirm }: Pick<ClaimRequest, 'gone' | 'confirm'>): Promise<boolean> {
    try {
      confirm()
      if (!gone.aborted) return true
    } catch (error) {
      await this.#returnToQueue(taken)
      throw error
    }
    await this.#returnToQueue(taken)
    return false
  }

  async #returnToQueue(taken: ClaimedRound): Promise<void> {
    await this.#ports.claims.settle(taken, taken.lock, { how: 'returned' })
  }

  async #conclude(taken: ClaimedRound, settled: Settled): Promise<null> {
    await conclude(this.#ports, taken, taken.lock, settled)
    return null
  }

  /** Background work; `close` waits for it. */
  #follow(act: Promise<void>): void {
    const work = act.catch(this.#ports.onFault).finally(() => this.#background.delete(work))
    this.#background.add(work)
  }
}

/** Starts a job whose owner waits on another hub. */
const NOBODY: OwnRequest = { by: { sub: '' }, gone: new AbortController().signal, confirm: () => {} }

interface Terms {
  readonly lockMs: number
  readonly deadlineMs: number
  readonly traceparent: string | undefined
}

function assignmentOf(taken: ClaimedRound, attempt: Attempt, { lockMs, deadlineMs, traceparent }: Terms): Assignment {
  const { id, round, token, input } = taken
  const deadline = Number.isFinite(deadlineMs) ? new Date(deadlineMs).toISOString() : null
  return {
    id,
    kind: attempt.kind.name,
    dialect: attempt.kind.dialect,
    input,
    round,
    token,
    attempt: attempt.number,
    max_attempts: attempt.of,
    lease_s: lockMs / 1000,
    deadline,
    ...(traceparent !== undefined && { traceparent }),
  }
}
