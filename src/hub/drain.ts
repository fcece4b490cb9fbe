import type { Clock } from '../core/clock.js'
import type { Session } from './session.js'

/** Open sessions. */
type Sessions = Iterable<Session> & { readonly size: number }

/** Clients are asked to move within this share of the window. The rest of the window is for late clients. */
const MOVING = 0.6
/** After this share of the window, clients that have not moved are closed. */
const CLOSING = 0.8

/**
 * Empties a node within `windowMs`. Each client is assigned its own moment to reconnect, so that the remaining nodes
 * get no burst of connections. A client that does not move is closed with 1012 before the end, again one after the
 * other. Resolves when no client is left, and not before `minMs`: a load balancer needs that time to notice that this
 * node takes no more clients.
 */
export async function drain(sessions: Sessions, clock: Clock, windowMs: number, minMs: number): Promise<void> {
  const wait = (ms: number) => new Promise<void>((resolve) => clock.after(ms, resolve))
  const startedAt = clock.elapsed()
  const asked = [...sessions]
  for (const [i, session] of asked.entries()) session.drain(Math.round((i / asked.length) * MOVING * windowMs), windowMs)
  // Checked often, so that a node stops soon after it is empty.
  const step = Math.max(10, windowMs / 100)
  while (sessions.size > 0 && clock.elapsed() - startedAt < CLOSING * windowMs) await wait(step)
  const late = [...sessions]
  const closingFrom = clock.elapsed()
  const closingMs = Math.max(0, startedAt + windowMs - closingFrom)
  for (const [i, session] of late.entries()) {
    const due = closingFrom + (i / late.length) * closingMs
    if (due > clock.elapsed()) await wait(due - clock.elapsed())
    session.close('restart')
  }
  const rest = minMs - (clock.elapsed() - startedAt)
  if (rest > 0) await wait(rest)
}
