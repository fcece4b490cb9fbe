import { type Job as BullJob, UnrecoverableError } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Settled } from '../queue.js'
import { type Held, holdLock } from './locks.js'
import type { BullData, BullReturn } from './queue.js'

type RoundJob = BullJob<BullData, BullReturn>

/** BullMQ's codes for: no such job, no lock, not active, another's lock. */
const NOT_OURS = [-1, -2, -3, -6]

/**
 * Commits to BullMQ how a try at a round has ended, in the name of whoever holds it: a worker of ours or a claim. A lock that has lapsed meanwhile is taken again
 * (see `holdLock`). False where somebody else has the round by now, or this very commit was done before its answer was lost. Rejects where Redis is away.
 */
export async function settle(redis: Redis, job: RoundJob, held: Held, settled: Settled, lockMs: number): Promise<boolean> {
  if (!(await holdLock(redis, held, lockMs))) return false
  try {
    await move(job, held.lock, settled)
    return true
  } catch (error) {
    if (isNotOurs(error)) return false
    throw error
  }
}

async function move(job: RoundJob, lock: string, settled: Settled): Promise<void> {
  switch (settled.how) {
    case 'done':
      await job.moveToCompleted({ result: settled.result, compute_time_s: settled.compute_time_s }, lock, false)
      return
    case 'ended':
      // Before the job fails, so that the outcome outlives this process.
      await job.updateData({ ...job.data, outcome: settled.outcome })
      await job.moveToFailed(new UnrecoverableError(settled.outcome.status === 'failed' ? settled.outcome.error : 'cancelled'), lock)
      return
    case 'handed back':
      await job.moveToWait(lock)
      return
    case 'refused':
      await job.moveToFailed(new UnrecoverableError('not to be run'), lock)
      return
    case 'retry':
      await job.moveToDelayed(Date.now() + settled.delayMs, lock)
  }
}

function isNotOurs(error: unknown): boolean {
  return error instanceof Error && 'code' in error && NOT_OURS.includes(Number(error.code))
}
