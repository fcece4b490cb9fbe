import { secondsBetween } from '../../core/elapsed.js'
import { GIVEN_UP, type JobEvent, type Writer } from '../../core/entry.js'
import type { JobState } from '../../core/job-state.js'
import { queueOf } from '../../core/kind.js'
import { storeClock } from '../../core/store-clock.js'
import { isTimedOut } from '../../core/timeout.js'
import { type ClaimAnswer, type ClaimEnd, type ClaimPost, MAX_POSTS_PER_SECOND } from '../../protocol/claim-messages.js'
import { RuncastError } from '../../protocol/codes.js'
import { isJobId } from '../../protocol/job-id.js'
import { isFinal, type Status } from '../../protocol/status.js'
import type { Claim, ClaimRecord, Claims, PostCounter } from '../../queue/claims.js'
import type { Heartbeats, Refused } from '../../storage/broker.js'
import { cancelled, logTailOf } from '../attempt.js'
import type { Finalizer } from '../finalize.js'
import { type ClaimEnder, conclude, conclusionOf, finishRound } from './claim-end.js'
import { readPost, type Told } from './claim-events.js'

export interface ClaimPorts extends ClaimEnder {
  readonly broker: Finalizer['broker'] & Heartbeats
  readonly claims: Claims & PostCounter
  /** A claim that is not renewed for so long is lost. */
  readonly lockMs: number
  /** Somebody computes what was claimed from this queue. */
  attend(queue: string): void
}

/** A post under way, of a claim whose lease has just been renewed. */
interface Writing {
  readonly claim: Claim
  readonly state: JobState
  /** With this post in it, lacking its answer. */
  readonly record: ClaimRecord
  readonly writer: Writer
  readonly told: Told
}

/** The start of a claim is the first write of its token; the posts of its worker count from there. */
export const START_N = 1

/**
 * Takes a post of whoever computes a claimed job. In this order: it is theirs (record), still theirs (lock, renewed), written (fenced as any worker's), and, where it
 * is an end, committed to the queue and then told. What is not done because this process dies is done when the same post comes again, to whatever hub.
 * Rejects with `stale_writer`, `invalid`, `rate_limited`, `not_found`.
 */
export async function takePost(parts: ClaimPorts, id: string, by: string, post: ClaimPost): Promise<ClaimAnswer> {
  const { broker, claims } = parts
  const state = isJobId(id) ? (await broker.read(id))?.state : undefined
  if (!state) throw new RuncastError('not_found')
  const { round, token, n } = post
  const claim: Claim = { queue: queueOf(state), id, round, token }
  const known = await claims.read(claim)
  if (!known || known.by !== by) throw new RuncastError('stale_writer')
  // Whatever it says, and however often it came before.
  if ((await claims.count(claim)) > MAX_POSTS_PER_SECOND) throw new RuncastError('rate_limited', { retryAfterMs: 1000 })
  if (n < known.n) throw new RuncastError('stale_writer')
  if (n === known.n && known.answer) return known.answer
  parts.attend(claim.queue)
  const isHeld = await claims.renew(claim, known.lock)
  if (isHeld && (state.round !== round || isFinal(state.status))) throw await letGo(parts, claim, known.lock)
  // Another copy of this post may have ended the claim since its record was read.
  const last = isHeld ? known : await claims.read(claim)
  const isRepeated = n === last?.n
  if (isRepeated && last.answer) return last.answer
  if (!isHeld && !isRepeated) throw new RuncastError('stale_writer')
  const told = readPost(state, post.events, secondsBetween(known.startedAt, storeClock.now()))
  const logTail = isRepeated ? last.logTail : logTailOf([...known.logTail, ...told.lines])
  const { answer: _last, ...kept } = known
  const record: ClaimRecord = { ...kept, n, logTail }
  const writing = { claim, state, record, writer: { round, token, n: START_N + n }, told }
  const answer = isHeld ? await write(parts, writing) : told.end ? await committed(parts, writing, told.end) : null
  if (!answer) return answered(claims, claim, n)
  await claims.write(claim, { ...record, answer })
  return answer
}

function write(parts: ClaimPorts, writing: Writing): Promise<ClaimAnswer | null> {
  const { end } = writing.told
  return end ? writeEnd(parts, writing, end) : writeReports(parts, writing)
}

async function writeReports(parts: ClaimPorts, writing: Writing): Promise<ClaimAnswer | null> {
  const { claim, state, writer, told } = writing
  const { broker } = parts
  const written = await (told.reports.length > 0
    ? broker.publish(claim.id, told.reports, writer)
    : broker.heartbeat(claim.id, writer, true))
  if (!written.ok) return refused(parts, writing, written)
  const cancel_requested = written.status === 'cancelling' || isTimedOut(state, storeClock.now())
  return { status: written.status, seq: written.seq, cancel_requested, lease_s: parts.lockMs / 1000 }
}

/** Null where the claim was lost before the queue's commit, or a later post has been taken. */
async function writeEnd(parts: ClaimPorts, writing: Writing, end: ClaimEnd): Promise<ClaimAnswer | null> {
  const { claim, state, record, told } = writing
  const elapsedSeconds = secondsBetween(record.startedAt, storeClock.now())
  const { event, settled } = conclusionOf(end, { state, logTail: record.logTail.join('\n'), elapsedSeconds })
  // From here on the same post again is known for an end that has begun, also where the lock has gone with its commit.
  if (!(await parts.claims.write(claim, record))) return null
  const refusal = await publish(parts, writing, event ? [...told.reports, event] : told.reports)
  const isCancelled = refusal?.reason === 'transition'
  if (refusal !== null && !isCancelled) return refused(parts, writing, refusal)
  // Cancelled since the state was read: the reports are written without the transition.
  const late = isCancelled ? await publish(parts, writing, told.reports) : null
  if (late !== null) return refused(parts, writing, late)
  const isOurs = await conclude(parts, claim, record.lock, isCancelled ? cancelled() : settled)
  // Another copy of this post may have been faster.
  return isOurs ? endedNow(parts, claim) : committed(parts, writing, end)
}

/** The refusal, or null. */
async function publish({ broker }: ClaimPorts, { claim, writer }: Writing, events: readonly JobEvent[]): Promise<Refused | null> {
  if (events.length === 0) return null
  const written = await broker.publish(claim.id, events, writer)
  return written.ok ? null : written
}

/** An end that was begun and whose lock is gone: this post has brought it about, or it never happened (null). */
async function committed(parts: ClaimPorts, { claim, writer }: Writing, end: ClaimEnd): Promise<ClaimAnswer | null> {
  await finishRound(parts, claim)
  const state = (await parts.broker.read(claim.id))?.state
  // Whoever gives a worker up ends its attempt in its stead.
  if (state?.round !== claim.round || state.token !== claim.token || state.n >= GIVEN_UP) return null
  const isDone = isFinal(state.status) || (state.status === waitingAfter(end) && state.n === writer.n)
  return isDone ? endedNow(parts, claim) : null
}

/** In which status a job waits that has ended so, unless it was cancelled or out of time; null where the end is final. */
function waitingAfter(end: ClaimEnd): Status | null {
  if (end.type === 'released') return 'queued'
  return end.type === 'failed' && end.retry ? 'retrying' : null
}

/** What another copy of this post was answered. Rejects with `stale_writer` where there is none. */
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
 * A write that was not done. Throws for an event that cannot be published, with its path. Whoever is fenced has nothing to hold on to; a late copy of an earlier
 * post (`stale_write`) says nothing of the claim.
 */
async function refused(parts: ClaimPorts, writing: Writing, { reason, text, index }: Refused): Promise<null> {
  const { claim, record, state, told } = writing
  if (reason === 'too_big')
    throw new RuncastError('too_big', { message: text, issues: faultsAt([told.paths[index ?? -1] ?? '/events'], 'a smaller message') })
  if (reason === 'too_many_keys') {
    const added = told.paths.filter((_path, i) => !state.latest.has(told.reports[i]?.key ?? ''))
    throw new RuncastError('invalid', { message: text, issues: faultsAt(added, 'a metric that the job has') })
  }
  const { lock } = record
  const isLate = reason === 'stale_write' && ((await parts.broker.read(claim.id))?.state.n ?? GIVEN_UP) < GIVEN_UP
  if (!isLate) await letGo(parts, claim, lock)
  return null
}

function faultsAt(paths: readonly string[], expected: string): RuncastError['detail'] {
  return paths.map((path) => ({ path, expected }))
}

/** Takes a round out of the queue that is over, or another's, so that nobody keeps its lock by posting on. */
async function letGo(parts: ClaimPorts, claim: Claim, lock: string): Promise<RuncastError> {
  await conclude(parts, claim, lock, { how: 'refused' })
  return new RuncastError('stale_writer')
}
