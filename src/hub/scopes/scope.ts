import type { Identity } from '../../core/identity.js'
import type { ClientMessageType, ScopeMessage } from '../../protocol/client-messages.js'
import type { CloseName } from '../../protocol/codes.js'
import type { Policy } from '../guards/policy.js'
import type { Hub } from '../hub.js'
import type { Outbox } from '../outbox.js'

/** What a session gives to its scope. */
export interface ScopeContext {
  readonly hub: Hub
  readonly policy: Policy
  readonly outbox: Outbox
  /** Whom the session speaks for now. Throws `unauthenticated` before that is known. */
  identity(): Identity
  /** An answer to the client itself. */
  send(message: Readonly<Record<string, unknown>>): void
  close(code: CloseName, detail?: string): void
  /** Work in the background; what it rejects with ends the session with its reason. */
  run(work: Promise<void>): void
}

/** What a session follows, and what its client may ask for beside `ping` and `auth`: one job, or all jobs of a user. */
export interface Scope {
  readonly accepts: readonly ClientMessageType[]
  /** Called once, when the client has authenticated. */
  open(): Promise<void>
  /** Does what the client asks for. Rejects with a `RuncastError` that is told to the client. */
  receive(message: ScopeMessage): Promise<void>
  /** The client's backlog was dropped: nothing more is taken for it until `resync`. */
  fallBehind(): void
  resync(): Promise<void>
  /** The token was renewed: whether the client may still view what it follows is asked again. */
  recheck(): void
  release(): void
}

/** Makes the scope of a session. */
export type BuildScope = (context: ScopeContext) => Scope
