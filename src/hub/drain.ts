import type { Clock } from '../core/clock.js'
import type { Session } from './session.js'

/** Clients are asked to move within this part of the window; the rest of it is for those who are late. */
const MOVING = 0.6
/** From this part of the window on, whoever has not moved is closed. */
const CLOSING = 0.8

/**
 * Empties a node within `windowMs`: each client is told when to open its next connection, one after the other, so that the nodes that stay are not
 * stormed; who does not follow is closed with 1012 before the end, also one after the other. Resolves when nobody is left, and not before `leastMs`:
 * whoever sends clients here has to notice that it must not.
 */
export async function drain(sessions: ReadonlySet<Session>, clock: Clock, windowMs: number, leastMs: number): Promise<void> {
  const wait = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve))
  const begun = clock.elapsed()
  const told = [...sessions]
  for (const [i, session] of told.entries()) session.drain(Math.round((i / told.length) * MOVING * windowMs), windowMs)
  // Looked at often, so that a node that is empty need not wait.
  const step = Math.max(10, windowMs / 100)
  while (sessions.size > 0 && clock.elapsed() - begun < CLOSING * windowMs) await wait(step)
  const late = [...sessions]
  const closingFrom = clock.elapsed()
  const closingMs = Math.max(0, begun + windowMs - closingFrom)
  for (const [i, session] of late.entries()) {
    const due = closingFrom + (i / late.length) * closingMs
    if (due > clock.elapsed()) await wait(due - clock.elapsed())
    session.close('restart')
  }
  const rest = leastMs - (clock.elapsed() - begun)
  if (rest > 0) await wait(rest)
}
