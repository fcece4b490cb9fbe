import type { Role } from '../core/identity.js'

/** A client's session on one hub. */
export interface SessionEntry {
  readonly id: string
  /** Id of the hub. */
  readonly node: string
  readonly user: string
  readonly role: Role
  readonly via: 'websocket' | 'sse'
  readonly ip: string
  /** When the connection was accepted (ISO 8601). */
  readonly since: string
  readonly follows: Follows
  /** Bytes in the hub that wait for this client. */
  readonly backlog_bytes: number
}

/** What a session follows: one job, or the jobs of its user. */
export interface Follows {
  readonly scope: 'job' | 'user'
  readonly count: number
  /** Ids of the jobs, at most `MAX_FOLLOWED_LISTED`. */
  readonly jobs: readonly string[]
}

export const MAX_FOLLOWED_LISTED = 10

/** A question to every hub. A hub that does not know the type of a question does not answer. */
export type HubQuestion =
  /** The newest sessions, of one user or of all. */
  | { readonly type: 'sessions'; readonly user?: string; readonly limit: number }
  /** Ends one session, or all of one user. With `reconnect`, the clients connect again. */
  | { readonly type: 'disconnect'; readonly session?: string; readonly user?: string; readonly reconnect: boolean }

/** What one hub answers: how many of its sessions the question concerns, and which if it asks for them. */
export interface HubAnswer {
  readonly count: number
  readonly sessions: readonly SessionEntry[]
}

/** Questions of one hub to all hubs. */
export interface HubCalls {
  /** Answers the questions of all hubs until `close`. It recovers from a lost connection by itself. */
  listen(answer: (question: HubQuestion) => HubAnswer): void
  /**
   * Asks all hubs. Resolves to the answers by hub once all of `hubs` have answered, or after a second. Rejects with
   * `overloaded` if Redis cannot be reached, and with `rate_limited` if too many questions wait for their answers.
   */
  ask(question: HubQuestion, hubs: readonly string[]): Promise<ReadonlyMap<string, HubAnswer>>
  close(): void
}
