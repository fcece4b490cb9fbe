import type { WebSocketClass, WebSocketLike } from '../client/hub-socket.js'
import { systemClock } from '../core/clock.js'
import type { Identity } from '../core/identity.js'
import { nativeDialect } from '../core/native-dialect.js'
import { positionOf, telemetryOf } from '../http/routes/position.js'
import type { Frame } from '../hub/frame.js'
import type { Policy } from '../hub/guards/policy.js'
import type { Hub } from '../hub/hub.js'
import { jobScope } from '../hub/scopes/job-scope.js'
import type { BuildScope } from '../hub/scopes/scope.js'
import { userScope } from '../hub/scopes/user-scope.js'
import { DEFAULT_SESSION_LIMITS, Session } from '../hub/session.js'
import type { Transport } from '../hub/transport.js'
import type { JobService } from '../jobs/job-service.js'
import { type CloseName, CODES } from '../protocol/codes.js'

export interface LocalHub {
  readonly hub: Hub
  readonly jobs: JobService
  /** The user whose jobs are visible. */
  readonly owner: string
  /** Maximum jobs that one socket follows. */
  readonly maxSubscriptions: number
  readonly onFault: (error: unknown) => void
}

/** The last moment that a `Date` can represent: the identity never expires. */
const NEVER = 8.64e15

/**
 * Sockets of a hub in this process, with the same paths and sessions as over the network. So a program over Redis
 * follows jobs by the same code as one over HTTP.
 */
export function localSockets(local: LocalHub): WebSocketClass {
  const policy = policyOf(local)
  return class extends LocalSocket {
    constructor(url: string) {
      super((transport) => {
        const { hub, onFault } = local
        const limits = DEFAULT_SESSION_LIMITS
        return new Session(transport, { hub, policy, clock: systemClock, limits, scope: scopeAt(url, local), onFault })
      })
    }
  }
}

function scopeAt(url: string, { maxSubscriptions }: LocalHub): BuildScope {
  const { pathname, searchParams } = new URL(url)
  const [, id] = /^\/api\/jobs\/([^/]+)\/socket$/.exec(pathname) ?? []
  if (id === undefined) return userScope({ maxSubscriptions })
  const query = Object.fromEntries(searchParams)
  const after = positionOf(query)
  const asked = { ...(after && { after }), telemetry: telemetryOf(query) }
  return jobScope({ id: decodeURIComponent(id), kind: null, idField: 'id', dialect: nativeDialect, ...asked })
}

/** The policy for the one user of this process, who needs no authentication. */
function policyOf({ jobs, owner }: LocalHub): Policy {
  const identity: Identity = { sub: owner, role: 'user', expiresAt: NEVER, issuedAt: 0 }
  return {
    authenticate: async () => identity,
    enter: async () => () => {},
    mayView: (_identity, of) => of === owner,
    cancel: (_identity, id) => jobs.cancel(id, (of) => of === owner),
  }
}

/** Both ends of a connection. Messages arrive at the other end in a later turn, in order. */
class LocalSocket implements WebSocketLike, Transport {
  readonly #session: Session
  #isClosed = false
  onopen: WebSocketLike['onopen'] = null
  onmessage: WebSocketLike['onmessage'] = null
  onclose: WebSocketLike['onclose'] = null
  onerror: WebSocketLike['onerror'] = null
  onDrain: () => void = () => {}
  /** Unread messages wait on the reader's side, which limits them. */
  readonly congested = false
  readonly bufferedBytes = 0

  constructor(build: (transport: Transport) => Session) {
    this.#session = build(this)
    this.#later(() => {
      this.onopen?.({})
      this.#session.start()
    })
  }

  send(what: string): void
  send(what: readonly Frame[]): void
  send(what: string | readonly Frame[]): void {
    if (typeof what === 'string') return this.#later(() => this.#session.receive(what))
    for (const { payload } of what) this.#later(() => this.onmessage?.({ data: payload.toString() }))
  }

  close(code?: CloseName | number, detail?: string): void {
    if (typeof code !== 'string') return this.#end()
    this.#later(() => {
      this.#isClosed = true
      this.onclose?.({ code: CODES[code].close, reason: detail ?? CODES[code].text })
    })
  }

  terminate(): void {
    this.#end()
  }

  ping(): void {
    this.#later(() => this.#session.touch())
  }

  #end(): void {
    this.#isClosed = true
    this.#session.ended()
  }

  #later(act: () => void): void {
    queueMicrotask(() => this.#isClosed || act())
  }
}
