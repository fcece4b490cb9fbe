import { type Job as BullJob, UnrecoverableError } from 'bullmq'
import type { Redis } from 'ioredis'
import type { Settled } from '../queue.js'
import { type Held, renewLock } from './locks.js'
import type { BullData, BullReturn } from './queue.js'

type RoundJob = BullJob<BullData, BullReturn>

/** BullMQ's error codes: no such job, no lock, not active, lock of another worker. */
const NOT_OURS = [-1, -2, -3, -6]

/**
 * Commits the outcome of an attempt to BullMQ, on behalf of the holder: a worker or a claim. An expired lock is set
 * again (see `renewLock`). False if another worker has the execution by now, or if this commit was already applied and
 * its reply was lost. Rejects if Redis cannot be reached.
 */
export async function settle(redis: Redis, job: RoundJob, held: Held, settled: Settled, lockMs: number): Promise<boolean> {
  if (!(await renewLock(redis, held, lockMs))) return false
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
      // Written before the job fails, so that the outcome survives a crash of this process.
      await job.updateData({ ...job.data, outcome: settled.outcome })
      await job.moveToFailed(new UnrecoverableError(settled.outcome.status === 'failed' ? settled.outcome.error : 'cancelled'), lock)
      return
    case 'returned':
      await job.moveToWait(lock)
      return
    case 'refused':
      await job.moveToFailed(new UnrecoverableError('must not be run'), lock)
      return
    case 'retry':
      await job.moveToDelayed(Date.now() + settled.delayMs, lock)
  }
}

function isNotOurs(error: unknown): boolean {
  return error instanceof Error && 'code' in error && NOT_OURS.includes(Number(error.code))
}
