import type { WebSocketClass, WebSocketLike } from '../client/line.js'
import { systemClock } from '../core/clock.js'
import type { Identity } from '../core/identity.js'
import { nativeDialect } from '../core/native-dialect.js'
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
  /** Whose jobs are there. */
  readonly owner: string
  /** Most jobs that one socket follows. */
  readonly maxSubscriptions: number
  readonly onFault: (error: unknown) => void
}

/** The last moment of a `Date`: an identity that never expires. */
const NEVER = 8.64e15

/**
 * Sockets of a hub in this process, at the same paths as over the network and with the same sessions behind them: a program over Redis follows jobs by the very
 * code that one over HTTP does.
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
  const [after, epoch] = [searchParams.get('after'), searchParams.get('epoch')]
  const position = after !== null && epoch !== null && { after: { epoch, seq: Number(after) } }
  return jobScope({ id: decodeURIComponent(id), kind: null, idField: 'id', dialect: nativeDialect, ...position })
}

/** One user, who has proved who it is by being in this process. */
function policyOf({ jobs, owner }: LocalHub): Policy {
  const identity: Identity = { sub: owner, role: 'user', expiresAt: NEVER, issuedAt: 0 }
  return {
    authenticate: async () => identity,
    enter: async () => () => {},
    mayView: (_identity, of) => of === owner,
    cancel: (_identity, id) => jobs.cancel(id, (of) => of === owner),
  }
}

/** Both ends of a connection. What one end says arrives at the other in a later turn, in order. */
class LocalSocket implements WebSocketLike, Transport {
  readonly #session: Session
  #isClosed = false
  onopen: WebSocketLike['onopen'] = null
  onmessage: WebSocketLike['onmessage'] = null
  onclose: WebSocketLike['onclose'] = null
  onerror: WebSocketLike['onerror'] = null
  onDrain: () => void = () => {}
  /** What a reader leaves unread waits on its side, which limits it. */
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
