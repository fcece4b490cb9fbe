import { RuncastError } from '../../protocol/codes.js'
import { isFinal } from '../../protocol/status.js'
import type { JobRound } from '../../storage/job-store.js'
import { cancelJob } from '../cancel.js'
import type { Finalizer } from '../finalize.js'

/**
 * Ends the parts of a round that has ended or is to: cancels those that have not ended. Answers whether all have; then the checkpoint of an ended round may go. May
 * be done again at any time, also late: the parts of a later round are left alone.
 */
export async function cancelChildren(parts: Finalizer, { id, round }: JobRound): Promise<boolean> {
  const checkpoint = await parts.broker.load(id)
  if (checkpoint?.round !== round) return true
  const ended = await Promise.all(checkpoint.parts.map((part) => endPart(parts, part)))
  return ended.every(Boolean)
}

/** Cancels a part that has not ended, and lets one that has expire soon. Answers whether it has ended by now, or was never there. */
export async function endPart(parts: Finalizer, id: string): Promise<boolean> {
  const state = (await parts.broker.read(id))?.state
  if (!state) return true
  if (isFinal(state.status)) {
    await parts.store.expireSoon(id)
    return true
  }
  if (state.status === 'cancelling') return false
  const read = async () => (await parts.broker.read(id))?.state ?? state
  const status = await cancelJob(parts, read).catch((error: unknown) => {
    if (error instanceof RuncastError && error.code === 'already_final') return 'cancelled' as const
    throw error
  })
  return isFinal(status)
}
