import { RuncastError } from '../../protocol/codes.js'
import { isFinal } from '../../protocol/status.js'
import type { JobRound } from '../../storage/job-store.js'
import { cancelJob } from '../cancel.js'
import type { Finalizer } from '../finalize.js'

/**
 * Cancels the children of an execution that has ended or is about to end. Returns whether all have ended; then the
 * checkpoint of an ended execution may be deleted. May be repeated at any time, also late: children of a later
 * execution are not touched.
 */
export async function cancelChildren(ports: Finalizer, { id, round }: JobRound): Promise<boolean> {
  const checkpoint = await ports.broker.load(id)
  if (checkpoint?.round !== round) return true
  const ended = await Promise.all(checkpoint.children.map((child) => endChild(ports, child)))
  return ended.every(Boolean)
}

/**
 * Cancels a child that has not ended, and makes an ended one expire soon. Returns whether it has ended or never
 * existed.
 */
export async function endChild(ports: Finalizer, id: string): Promise<boolean> {
  const state = (await ports.broker.read(id))?.state
  if (!state) return true
  if (isFinal(state.status)) {
    await ports.store.expireSoon(id)
    return true
  }
  if (state.status === 'cancelling') return false
  const read = async () => (await ports.broker.read(id))?.state ?? state
  const status = await cancelJob(ports, read).catch((error: unknown) => {
    if (error instanceof RuncastError && error.code === 'already_final') return 'cancelled' as const
    throw error
  })
  return isFinal(status)
}
