import type { Pulse, WriteRefusal } from '../broker/broker.js'
import { type ClaimAnswer, type ClaimEnd, type ClaimPost, MAX_POSTS_PER_SECOND } from '../protocol/claim-messages.js'
import { Refusal } from '../protocol/codes.js'
import type { JobEvent, Writer } from '../protocol/entry.js'
import { isJobId } from '../protocol/job-id.js'
import type { JobState } from '../protocol/job-state.js'
import { queueOf } from '../protocol/kinds.js'
import { isFinal } from '../protocol/status.js'
import { isTimedOut } from '../protocol/timeout.js'
import { cancelled, logTailOf } from './attempt.js'
import { conclude, conclusionOf, finishRound } from './claim-end.js'
import { readPost, type Told } from './claim-events.js'
import type { Claim, ClaimRecord, Claims } from './claims.js'
import type { Finalizer } from './finalize.js'

export interface ClaimParts extends Finalizer {
  readonly broker: Finalizer['broker'] & Pulse
  readonly claims: Claims
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
export async function takePost(parts: ClaimParts, id: string, by: string, post: ClaimPost): Promise<ClaimAnswer> {
  const { broker, claims } = parts
  const state = isJobId(id) ? (await broker.read(id))?.state : undefined
  if (!state) throw new Refusal('not_found')
  const { round, token, n } = post
  const claim: Claim = { queue: queueOf(state), id, round, token }
  const known = await claims.read(claim)
  if (!known || known.by !== by || n < known.n) throw new Refusal('stale_writer')
  const isRepeated = n === known.n
  if (isRepeated && known.answer) return known.answer
  parts.attend(claim.queue)
  const rate = counted(known.rate, Date.now())
  const isHeld = await claims.renew(claim, known.lock)
  if (isHeld && (state.round !== round || isFinal(state.status))) throw await letGo(parts, claim, known.lock)
  if (!isHeld && !isRepeated) throw new Refusal('stale_writer')
  const told = readPost(state, post.events, secondsSince(known.startedAt))
  const logTail = isRepeated ? known.logTail : logTailOf([...known.logTail, ...told.lines])
  const { answer: _last, ...kept } = known
  const record: ClaimRecord = { ...kept, n, rate, logTail }
  const writing = { claim, state, record, writer: { round, token, n: START_N + n }, told }
  const answer = isHeld ? await write(parts, writing) : told.end ? await committed(parts, claim, told.end) : null
  if (!answer) throw new Refusal('stale_writer')
  await claims.write(claim, { ...record, answer })
  return answer
}

function write(parts: ClaimParts, writing: Writing): Promise<ClaimAnswer | null> {
  const { end } = writing.told
  return end ? writeEnd(parts, writing, end) : writeReports(parts, writing)
}

async function writeReports(parts: ClaimParts, { claim, state, record, writer, told }: Writing): Promise<ClaimAnswer> {
  const { broker } = parts
  const written = await (told.reports.length > 0 ? broker.publish(claim.id, told.reports, writer) : broker.beat(claim.id, writer, true))
  if (!written.ok) throw await refused(parts, claim, record.lock, written.reason)
  const cancel_requested = written.status === 'cancelling' || isTimedOut(state, Date.now())
  return { status: written.status, seq: written.seq, cancel_requested, lease_s: parts.lockMs / 1000 }
}

/** Null where the claim was lost before the queue's commit. */
async function writeEnd(parts: ClaimParts, writing: Writing, end: ClaimEnd): Promise<ClaimAnswer | null> {
  const { claim, state, record, told } = writing
  const elapsedSeconds = secondsSince(record.startedAt)
  const { event, settled } = conclusionOf(end, { state, logTail: record.logTail.join('\n'), elapsedSeconds })
  // From here on the same post again is known for an end that has begun, also where the lock has gone with its commit.
  await parts.claims.write(claim, record)
  const refusal = await publish(parts, writing, event ? [...told.reports, event] : told.reports)
  if (refusal !== null && refusal !== 'transition') throw await refused(parts, claim, record.lock, refusal)
  // Cancelled since the state was read: the reports are written without the transition.
  const late = refusal === 'transition' ? await publish(parts, writing, told.reports) : null
  if (late !== null) throw await refused(parts, claim, record.lock, late)
  return (await conclude(parts, claim, record.lock, refusal === 'transition' ? cancelled() : settled)) ? endedNow(parts, claim) : null
}

/** Answers why it was refused, or null. */
async function publish({ broker }: ClaimParts, { claim, writer }: Writing, events: readonly JobEvent[]): Promise<WriteRefusal | null> {
  if (events.length === 0) return null
  const written = await broker.publish(claim.id, events, writer)
  return written.ok ? null : written.reason
}

/** An end that was begun and whose lock is gone: it was committed, or the claim was lost (null). */
async function committed(parts: ClaimParts, claim: Claim, end: ClaimEnd): Promise<ClaimAnswer | null> {
  await finishRound(parts, claim)
  const state = (await parts.broker.read(claim.id))?.state
  if (state?.round !== claim.round || state.token !== claim.token) return null
  const isDone =
    end.type === 'completed' ? state.status === 'completed' : isFinal(state.status) || ['queued', 'retrying'].includes(state.status)
  return isDone ? endedNow(parts, claim) : null
}

async function endedNow({ broker }: ClaimParts, { id }: Claim): Promise<ClaimAnswer> {
  const state = (await broker.read(id))?.state
  if (!state) throw new Refusal('not_found')
  return { status: state.status, seq: state.seq, cancel_requested: false, lease_s: 0 }
}

/** Why a write was not done. Whoever is fenced has nothing to hold on to. */
async function refused(parts: ClaimParts, claim: Claim, lock: string, reason: WriteRefusal): Promise<Refusal> {
  if (reason === 'too_big') return new Refusal('too_big')
  if (reason === 'too_many_keys') return new Refusal('invalid', 'The job has as many different metrics as a job may have.')
  return letGo(parts, claim, lock)
}

/** Takes a round out of the queue that is over, or another's, so that nobody keeps its lock by posting on. */
async function letGo(parts: ClaimParts, claim: Claim, lock: string): Promise<Refusal> {
  await conclude(parts, claim, lock, { how: 'refused' })
  return new Refusal('stale_writer')
}

function counted(rate: ClaimRecord['rate'], now: number): ClaimRecord['rate'] {
  const second = Math.floor(now / 1000)
  const posts = rate.second === second ? rate.posts + 1 : 1
  if (posts > MAX_POSTS_PER_SECOND) throw new Refusal('rate_limited', undefined, [], 1000)
  return { second, posts }
}

function secondsSince(startedAt: number): number {
  return Math.max(0, Math.round((Date.now() - startedAt) / 10) / 100)
}
