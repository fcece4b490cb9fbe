import { secondsBetween } from '../../core/elapsed.js'
import { FENCED_FROM, type JobEvent, type Writer } from '../../core/entry.js'
import type { Identity } from '../../core/identity.js'
import type { JobState } from '../../core/job-state.js'
import { queueOf } from '../../core/kind.js'
import { isOwned } from '../../core/solver.js'
import { storeClock } from '../../core/store-clock.js'
import { appended, type Telemetry } from '../../core/telemetry.js'
import { isTimedOut } from '../../core/timeout.js'
import { type ClaimAnswer, type ClaimEnd, type ClaimPost, MAX_POSTS_PER_SECOND } from '../../protocol/claim-messages.js'
import { type Issue, RuncastError } from '../../protocol/codes.js'
import { retryOf } from '../../protocol/failure.js'
import { isJobId } from '../../protocol/job-id.js'
import { isFinal, type Status } from '../../protocol/status.js'
import type { Claim, ClaimRecord, Claims, PostCounter } from '../../queue/claims.js'
import type { Heartbeats, Rejected } from '../../storage/broker.js'
import type { FairScheduler } from '../../storage/fair-scheduler.js'
import type { JobStore } from '../../storage/job-store.js'
import { cancelled, logTailOf } from '../attempt.js'
import type { Finalizer } from '../finalize.js'
import { quotaError } from '../quota.js'
import { type ClaimEnder, conclude, conclusionOf, finishRound } from './claim-end.js'
import { type PostContent, readPost } from './claim-events.js'

export interface ClaimPorts extends ClaimEnder {
  readonly store: ClaimEnder['store'] & Pick<JobStore, 'weigh'>
  readonly scheduler: Pick<FairScheduler, 'reserve'>
  readonly broker: Finalizer['broker'] & Heartbeats
  readonly claims: Claims & PostCounter
  /** A lease that is not renewed for this long is lost. */
  readonly lockMs: number
  /** Records that a worker computes a job of this queue. */
  markActive(queue: string): void
}

/** A post in progress, of a lease that has just been renewed. */
interface Writing {
  readonly claim: Claim
  readonly state: JobState
  /** The record with this post, without its answer. */
  readonly record: ClaimRecord
  readonly writer: Writer
  readonly content: PostContent
}

/** The sender of a report. */
export type Reporter = Pick<Identity, 'sub' | 'role' | 'kinds'>

/**
 * A job that the sender may report on, if it holds its lease: a worker on jobs of its kinds, a user only on own jobs
 * that were submitted to be computed by their owner. Rejects with `forbidden`, and with `not_found` for a job that the
 * sender may not view.
 */
export async function reportable({ broker }: Pick<ClaimPorts, 'broker'>, id: string, { sub, role, kinds }: Reporter): Promise<JobState> {
  const state = isJobId(id) ? (await broker.read(id))?.state : undefined
  if (!state) throw new RuncastError('not_found')
  if (role === 'worker') {
    if (kinds && !kinds.includes(state.kind.name)) throw new RuncastError('forbidden', notOfKinds(kinds))
    if (isOwned(state)) throw new RuncastError('stale_writer')
    return state
  }
  if (state.owner !== sub && role !== 'admin') throw new RuncastError('not_found')
  if (state.owner !== sub || !isOwned(state)) throw new RuncastError('forbidden', NOT_OWNED)
  return state
}

const NOT_OWNED = 'A user may only report on own jobs that were submitted with `claim: true`; other jobs need the role worker.'

/** The message to a worker whose token does not name a kind. */
export function notOfKinds(kinds: readonly string[]): string {
  return `The token of this worker is for these kinds only: ${kinds.join(', ') || 'none'}.`
}

/** The start of a lease is the first write of its token. The posts of its worker count from there. */
export const START_N = 1

/**
 * Handles a post of an external worker. The order is: check that the job is leased to this worker (record), renew the
 * lease (lock), write the events (fenced like any worker's), and for an end commit to the queue and then finalize. If
 * this process dies in between, the same post to any hub completes the rest. Rejects with `stale_writer`, `invalid`,
 * `rate_limited`, `quota`, `not_found`, `forbidden`.
 */
export async function handlePost(ports: ClaimPorts, id: string, by: Reporter, post: ClaimPost): Promise<ClaimAnswer> {
  const { claims } = ports
  const state = await reportable(ports, id, by)
  const { round, token, n } = post
  const claim: Claim = { queue: queueOf(state), id, round, token }
  const known = await claims.read(claim)
  if (!known || known.by !== by.sub) throw new RuncastError('stale_writer')
  await countPost(ports, claim, state)
  if (n < known.n) throw new RuncastError('stale_writer')
  if (n === known.n && known.answer) return known.answer
  ports.markActive(claim.queue)
  const isHeld = await claims.renew(claim, known.lock)
  if (isHeld && (state.round !== round || isFinal(state.status))) throw await dropLease(ports, claim, known.lock)
  // Another copy of this post may have ended the lease since its record was read.
  const last = isHeld ? known : await claims.read(claim)
  const isRepeated = n === last?.n
  if (isRepeated && last.answer) return last.answer
  if (!isHeld && !isRepeated) throw new RuncastError('stale_writer')
  const content = readPost(state, post.events, secondsBetween(known.startedAt, storeClock.now()), known.eta)
  if (isOwned(state) && isHeld) await checkQuota(ports, state, content)
  const logTail = isRepeated ? last.logTail : logTailOf([...known.logTail, ...content.lines.map(({ text }) => text)])
  const { answer: _last, ...kept } = known
  const record: ClaimRecord = { ...kept, n, logTail, eta: content.eta }
  const writing = { claim, state, record, writer: { round, token, n: START_N + n }, content }
  const answer = isHeld ? await write(ports, writing) : content.end ? await committed(ports, writing, content.end) : null
  if (!answer) return answered(claims, claim, n)
  await claims.write(claim, { ...record, answer })
  return answer
}

/**
 * Counts a post, whatever it contains and however often it is repeated. Rejects with `rate_limited`. The first one in a
 * second also measures a job that its owner computes.
 */
export async function countPost({ claims, store }: Pick<ClaimPorts, 'claims' | 'store'>, claim: Claim, state: JobState): Promise<void> {
  const count = await claims.count(claim)
  if (count > MAX_POSTS_PER_SECOND) throw new RuncastError('rate_limited', { retryAfterMs: 1000 })
  if (count === 1 && isOwned(state)) await store.weigh(claim.id)
}

/**
 * A job that its owner computes grows by the posts of this user, so they obey the limit of memory that submits obey.
 * Rejects with `quota` if it is reached. A post without content, and one that ends the job, are always accepted.
 */
async function checkQuota({ scheduler }: ClaimPorts, { id, round, owner }: JobState, content: PostContent): Promise<void> {
  if (content.end || content.reports.length + content.points.length + content.lines.length === 0) return
  const reserved = await scheduler.reserve(owner, { id, round }, true)
  if (!reserved.ok) throw quotaError(reserved)
}

function write(ports: ClaimPorts, writing: Writing): Promise<ClaimAnswer | null> {
  const { end } = writing.content
  return end ? writeEnd(ports, writing, end) : writeReports(ports, writing)
}

async function writeReports(ports: ClaimPorts, writing: Writing): Promise<ClaimAnswer | null> {
  const { claim, state, writer, content } = writing
  const { broker } = ports
  const telemetry = telemetryOf(content)
  const written = await (content.reports.length + telemetry.length > 0
    ? broker.publish(claim.id, content.reports, writer, telemetry)
    : broker.heartbeat(claim.id, writer, true))
  if (!written.ok) return refused(ports, writing, written)
  const cancel_requested = written.status === 'cancelling' || isTimedOut(state, storeClock.now())
  return { status: written.status, seq: written.seq, cancel_requested, lease_s: ports.lockMs / 1000 }
}

/** Null if the lease was lost before the queue's commit, or a later post was accepted. */
async function writeEnd(ports: ClaimPorts, writing: Writing, end: ClaimEnd): Promise<ClaimAnswer | null> {
  const { claim, state, record, content } = writing
  const elapsedSeconds = secondsBetween(record.startedAt, storeClock.now())
  const { event, settled } = conclusionOf(end, { state, logTail: record.logTail.join('\n'), elapsedSeconds })
  // From here on a repetition of this post is recognised as an end in progress, even if its lock was removed by the
  // commit.
  if (!(await ports.claims.write(claim, record))) return null
  const refusal = await publish(ports, writing, event ? [...content.reports, event] : content.reports)
  const isCancelled = refusal?.reason === 'transition'
  if (refusal !== null && !isCancelled) return refused(ports, writing, refusal)
  // The job was cancelled since its state was read: the reports are written without the transition.
  const late = isCancelled ? await publish(ports, writing, content.reports) : null
  if (late !== null) return refused(ports, writing, late)
  const isOurs = await conclude(ports, claim, record.lock, isCancelled ? cancelled() : settled)
  // Another copy of this post may have been faster.
  return isOurs ? endedNow(ports, claim) : committed(ports, writing, end)
}

/** The refusal, or null. */
async function publish({ broker }: ClaimPorts, { claim, writer, content }: Writing, events: readonly JobEvent[]): Promise<Rejected | null> {
  const telemetry = telemetryOf(content)
  if (events.length + telemetry.length === 0) return null
  const written = await broker.publish(claim.id, events, writer, telemetry)
  return written.ok ? null : written
}

function telemetryOf({ points, lines, skippedLines }: PostContent): readonly Telemetry[] {
  return [...points, ...appended(lines, skippedLines)]
}

/**
 * For an end whose lock is gone: returns its answer if this post has caused the end, or null if the end never happened.
 */
async function committed(ports: ClaimPorts, { claim, writer }: Writing, end: ClaimEnd): Promise<ClaimAnswer | null> {
  await finishRound(ports, claim)
  const state = (await ports.broker.read(claim.id))?.state
  // The process that gives up a worker ends its attempt on its behalf.
  if (state?.round !== claim.round || state.token !== claim.token || state.n >= FENCED_FROM) return null
  const isDone = isFinal(state.status) || (state.status === waitingAfter(end) && state.n === writer.n)
  return isDone ? endedNow(ports, claim) : null
}

/** The status in which a job waits after this end, unless it was cancelled or timed out. Null if the end is final. */
function waitingAfter(end: ClaimEnd): Status | null {
  if (end.type === 'released') return 'queued'
  return end.type === 'failed' && retryOf(end) !== false ? 'retrying' : null
}

/** The answer that another copy of this post received. Rejects with `stale_writer` if there is none. */
async function answered(claims: Claims, claim: Claim, n: number): Promise<ClaimAnswer> {
  const last = await claims.read(claim)
  if (last?.n !== n || !last.answer) throw new RuncastError('stale_writer')
  return last.answer
}

async function endedNow({ broker }: ClaimPorts, { id }: Claim): Promise<ClaimAnswer> {
  const state = (await broker.read(id))?.state
  if (!state) throw new RuncastError('not_found')
  return { status: state.status, seq: state.seq, cancel_requested: false, lease_s: 0 }
}

/**
 * Handles a refused write. Throws, with its path, for an event that cannot be published. A fenced worker loses its
 * lease. A late copy of an earlier post (`stale_write`) proves nothing about the lease.
 */
async function refused(ports: ClaimPorts, writing: Writing, { reason, text, index }: Rejected): Promise<null> {
  const { claim, record, state, content } = writing
  if (reason === 'too_big')
    throw new RuncastError('too_big', { message: text, issues: faultsAt([content.paths[index ?? -1] ?? '/events'], 'a smaller message') })
  if (reason === 'too_many_keys') {
    const added = content.paths.filter((_path, i) => !state.latest.has(content.reports[i]?.key ?? ''))
    throw new RuncastError('invalid', { message: text, issues: faultsAt(added, 'a metric that the job has') })
  }
  if (reason === 'too_many_series')
    throw new RuncastError('invalid', { message: text, issues: faultsAt(['/events'], 'metrics that the job has') })
  const { lock } = record
  const isLate = reason === 'stale_write' && ((await ports.broker.read(claim.id))?.state.n ?? FENCED_FROM) < FENCED_FROM
  if (!isLate) await dropLease(ports, claim, lock)
  return null
}

function faultsAt(paths: readonly string[], expected: string): readonly Issue[] {
  return paths.map((path) => ({ path, expected }))
}

/**
 * Removes an execution from the queue that is over or has another writer, so that no worker keeps its lock by further
 * posts.
 */
async function dropLease(ports: ClaimPorts, claim: Claim, lock: string): Promise<RuncastError> {
  await conclude(ports, claim, lock, { how: 'refused' })
  return new RuncastError('stale_writer')
}
