import { isFinal } from '../protocol/status.js'
import type { Finalizer } from './finalize.js'

/**
 * Makes a job known to its owner's clients, unless it is already. One that has ended since the caller looked was withdrawn before this and will
 * not be again, so it is withdrawn here: otherwise it would be among the active ones for ever.
 */
export async function announce({ broker, feeds }: Pick<Finalizer, 'broker' | 'feeds'>, owner: string, id: string): Promise<void> {
  if (!(await feeds.announce(owner, id))) return
  const state = (await broker.read(id))?.state
  if (!state || isFinal(state.status)) await feeds.withdraw(owner, id)
}
