import type { Identity } from '../../core/identity.js'
import type { ClientMessageType, ScopeMessage } from '../../protocol/client-messages.js'
import type { CloseName } from '../../protocol/codes.js'
import type { Follows } from '../../storage/hub-calls.js'
import type { Policy } from '../guards/policy.js'
import type { Hub } from '../hub.js'
import type { Outbox } from '../outbox.js'
import type { TelemetryPump } from '../telemetry-pump.js'

/** What a session provides to its scope. */
export interface ScopeContext {
  readonly hub: Hub
  readonly policy: Policy
  readonly outbox: Outbox
  /** What is sent beside entries. */
  readonly telemetry: TelemetryPump
  /** What begins each path of this hub; empty unless it is behind a prefix. */
  readonly publicPath: string
  /** The user of the session. Throws `unauthenticated` before authentication. */
  identity(): Identity
  /** An answer to the client itself. */
  send(message: Readonly<Record<string, unknown>>): void
  close(code: CloseName, detail?: string): void
  /** Work in the background. A rejection ends the session with its reason. */
  run(work: Promise<void>): void
}

/**
 * What a session follows, one job or all jobs of a user, and which requests its client may send besides `ping` and
 * `auth`.
 */
export interface Scope {
  readonly accepts: readonly ClientMessageType[]
  /** What it follows now, for operators. */
  readonly follows: Follows
  /** Called once, when the client has authenticated. */
  open(): Promise<void>
  /** Handles a request of the client. Rejects with a `RuncastError` that is sent to the client. */
  receive(message: ScopeMessage): Promise<void>
  /** The client's backlog was dropped: nothing is accepted until `resync`. */
  fallBehind(): void
  resync(): Promise<void>
  /** The token was renewed: checks again whether the client may view what it follows. */
  recheck(): void
  release(): void
}

/** Builds the scope of a session. */
export type BuildScope = (context: ScopeContext) => Scope
