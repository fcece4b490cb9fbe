import { type Job as BullJob, UnrecoverableError } from 'bullmq'
import type { Settled } from '../queue.js'
import type { BullData, BullReturn } from './queue.js'

type RoundJob = BullJob<BullData, BullReturn>

/** Commits to BullMQ how a try at a round has ended. `lock`: whoever holds the round. */
export async function commit(job: RoundJob, lock: string, settled: Settled): Promise<void> {
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

/** BullMQ's codes for: no such job, no lock, not active, another's lock. */
export function isLost(error: unknown): boolean {
  return error instanceof Error && 'code' in error && [-1, -2, -3, -6].includes(Number(error.code))
}
