import { RuncastError } from '../protocol/codes.js'
import type { HubAnswer, HubCalls, HubQuestion, SessionEntry } from '../storage/hub-calls.js'
import type { ProcessEntry, Processes } from '../storage/processes.js'

/** The sessions of all hubs, and the hubs that were asked. */
export interface SessionPage {
  /** The newest first. */
  readonly sessions: readonly SessionEntry[]
  /** Number of all sessions that match, of the hubs that answered. */
  readonly total: number
  /** `sessions`: the number of those that match; null for a hub that did not answer. */
  readonly hubs: readonly (Pick<ProcessEntry, 'id' | 'host' | 'pid' | 'version' | 'started_at'> & { readonly sessions: number | null })[]
  /** Ids of hubs that did not answer in time. */
  readonly silent: readonly string[]
}

export interface Disconnected {
  readonly disconnected: number
  readonly silent: readonly string[]
  /** Some of the sessions that were ended. */
  readonly sessions: readonly SessionEntry[]
}

/**
 * The sessions of all hubs. Hubs of versions before 0.2 are not asked. Rejects with `overloaded` if Redis cannot be
 * reached, and with `rate_limited` if too many requests wait.
 */
export class SessionDirectory {
  readonly #calls: HubCalls
  readonly #processes: Processes

  constructor(calls: HubCalls, processes: Processes) {
    this.#calls = calls
    this.#processes = processes
  }

  async list(user: string | undefined, limit: number): Promise<SessionPage> {
    const { answers, hubs, silent } = await this.#ask({ type: 'sessions', limit, ...(user !== undefined && { user }) })
    const sessions = answers.flatMap((answer) => answer.sessions)
    const shown = hubs.map(({ id, host, pid, version, started_at, answer }) => {
      return { id, host, pid, version, started_at, sessions: answer?.count ?? null }
    })
    return { sessions: sessions.toSorted(newestFirst).slice(0, limit), total: sumOf(answers), hubs: shown, silent }
  }

  /** Ends all sessions of a user. */
  disconnectUser(user: string, reconnect: boolean): Promise<Disconnected> {
    return this.#disconnect({ type: 'disconnect', user, reconnect })
  }

  /** Ends one session. Rejects with `not_found`, or with `overloaded` if a hub that may have it does not answer. */
  async disconnect(session: string, reconnect: boolean): Promise<Disconnected> {
    const ended = await this.#disconnect({ type: 'disconnect', session, reconnect })
    if (ended.disconnected > 0) return ended
    if (ended.silent.length === 0) throw new RuncastError('not_found', 'There is no such session.')
    throw new RuncastError('overloaded', `These hubs do not answer, and may have the session: ${ended.silent.join(', ')}.`)
  }

  async #disconnect(question: HubQuestion): Promise<Disconnected> {
    const { answers, silent } = await this.#ask(question)
    return { disconnected: sumOf(answers), silent, sessions: answers.flatMap(({ sessions }) => sessions) }
  }

  async #ask(question: HubQuestion) {
    const { processes } = await this.#processes.list()
    const known = processes.filter(({ role }) => role === 'hub')
    const answered = await this.#calls.ask(
      question,
      known.map(({ id }) => id),
    )
    const hubs = known.map((hub) => ({ ...hub, answer: answered.get(hub.id) }))
    return { answers: [...answered.values()], hubs, silent: hubs.filter(({ answer }) => !answer).map(({ id }) => id) }
  }
}

function sumOf(answers: readonly HubAnswer[]): number {
  return answers.reduce((sum, { count }) => sum + count, 0)
}

/** In the order of a list of sessions. */
export function newestFirst(a: Pick<SessionEntry, 'since' | 'id'>, b: Pick<SessionEntry, 'since' | 'id'>): number {
  if (a.since !== b.since) return a.since < b.since ? 1 : -1
  return a.id < b.id ? 1 : -1
}
