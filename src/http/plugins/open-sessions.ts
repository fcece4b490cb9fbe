import { randomUUID } from 'node:crypto'
import type { Session } from '../../hub/session.js'
import { newestFirst } from '../../hub/session-directory.js'
import type { HubAnswer, HubQuestion, SessionEntry } from '../../storage/hub-calls.js'
import type { Via } from './counting.js'

/** Where a session comes from. */
interface Origin {
  readonly id: string
  readonly via: Via
  readonly ip: string
  readonly since: string
}

/** Ended sessions that an answer lists. */
const MAX_ENDED_LISTED = 10

/** The open sessions of one hub, and its answers to questions about them. Sessions without a user are not listed. */
export class OpenSessions implements Iterable<Session> {
  readonly #node: string
  readonly #open = new Map<Session, Origin>()

  /** `node`: id of the hub. */
  constructor(node: string) {
    this.#node = node
  }

  get size(): number {
    return this.#open.size
  }

  [Symbol.iterator](): IterableIterator<Session> {
    return this.#open.keys()
  }

  add(session: Session, via: Via, ip: string): void {
    this.#open.set(session, { id: randomUUID(), via, ip, since: new Date().toISOString() })
  }

  /** Whether the session was open. */
  delete(session: Session): boolean {
    return this.#open.delete(session)
  }

  answer(question: HubQuestion): HubAnswer {
    if (question.type === 'sessions') {
      const found = this.#find(({ user }) => question.user === undefined || user === question.user)
      return {
        count: found.length,
        sessions: found
          .map(({ entry }) => entry())
          .toSorted(newestFirst)
          .slice(0, question.limit),
      }
    }
    const { session: id, user, reconnect } = question
    // Nothing that names neither ends every session.
    const found = this.#find((of) => (id === undefined ? user !== undefined && of.user === user : of.id === id))
    const sessions = found.slice(0, MAX_ENDED_LISTED).map(({ entry }) => entry())
    for (const { session } of found) {
      if (reconnect) session.close('restart', 'An admin asks this client to connect again.')
      else session.close('disconnected')
    }
    return { count: found.length, sessions }
  }

  #find(matches: (of: { readonly id: string; readonly user: string }) => boolean) {
    return [...this.#open].flatMap(([session, origin]) => {
      const { identity } = session
      if (!identity || !matches({ id: origin.id, user: identity.sub })) return []
      const { sub: user, role } = identity
      const entry = (): SessionEntry => ({
        ...origin,
        node: this.#node,
        user,
        role,
        follows: session.follows,
        backlog_bytes: session.backlogBytes,
      })
      return [{ session, entry }]
    })
  }
}
