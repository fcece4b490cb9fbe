import type { Clock } from '../../src/core/clock.js'
import { runDialect } from '../../src/core/dialect.js'
import type { Position } from '../../src/core/entry.js'
import type { Identity } from '../../src/core/identity.js'
import type { Policy } from '../../src/hub/guards/policy.js'
import { DEFAULT_HUB_LIMITS, Hub, type HubLimits } from '../../src/hub/hub.js'
import { jobScope } from '../../src/hub/scopes/job-scope.js'
import { userScope } from '../../src/hub/scopes/user-scope.js'
import { type ClientRefusals, DEFAULT_SESSION_LIMITS, Session } from '../../src/hub/session.js'
import { RuncastError } from '../../src/protocol/codes.js'
import { ManualClock, ManualTransport, settle } from './manual.js'
import { ManualBroker } from './manual-broker.js'
import { ManualFeeds } from './manual-feeds.js'
import type { Message } from './test-client.js'

export interface ConnectOptions {
  readonly token?: string | null
  readonly after?: Position
  readonly maxSubscriptions?: number
}

/** A session on a hub, with a manual transport. */
export class HubClient {
  readonly transport = new ManualTransport()
  readonly session: Session
  readonly faults: unknown[] = []
  readonly #world: HubWorld

  /** `jobId` null: all jobs of the user. */
  constructor(world: HubWorld, jobId: string | null, options: ConnectOptions) {
    this.#world = world
    const { token = 'alice', after, maxSubscriptions = 20 } = options
    this.session = new Session(this.transport, {
      hub: world.hub,
      policy: world.policy,
      clock: world.clock,
      limits: DEFAULT_SESSION_LIMITS,
      scope:
        jobId === null
          ? userScope({ maxSubscriptions })
          : jobScope({ id: jobId, kind: 'run', idField: 'run_id', dialect: runDialect, ...(after && { after }) }),
      ...(token !== null && { proof: { key: token, identify: () => world.policy.authenticate(token) } }),
      ...(world.refusals && { refusals: world.refusals }),
      onFault: (error) => this.faults.push(error),
    })
    this.session.start()
  }

  get messages(): Message[] {
    return this.transport.messages
  }

  /** The last snapshot. */
  get snapshot(): Message {
    return this.messages.findLast((message) => 'recovered' in message)
  }

  get seqs(): number[] {
    return this.messages.map((message) => message.seq)
  }

  /** Types and positions of the messages about a process. */
  eventsOf(processId: string): [type: string, seq: number][] {
    return this.messages.filter(({ process_id }) => process_id === processId).map(({ type, seq }) => [type, seq])
  }

  ask(message: object): void {
    this.session.receive(JSON.stringify(message))
  }

  /** Waits until all messages in transit have arrived. */
  async settle(): Promise<void> {
    await this.#world.settle()
  }
}

/** A hub with a manual broker, clock and transports. */
export class HubWorld {
  readonly broker = new ManualBroker()
  readonly feeds = new ManualFeeds()
  readonly clock = new ManualClock()
  readonly hub: Hub
  readonly faults: unknown[] = []
  /** Identities by token; other tokens are invalid. */
  readonly identities = new Map<string, Identity>()
  readonly policy: Policy
  refusals: ClientRefusals | undefined

  constructor(limits: Partial<HubLimits> = {}) {
    const clock: Clock = this.clock
    const onFault = (error: unknown) => this.faults.push(error)
    const { telemetry } = this.broker.memory
    this.hub = new Hub({ broker: this.broker, feeds: this.feeds, telemetry, clock, onFault }, { ...DEFAULT_HUB_LIMITS, ...limits })
    for (const sub of ['alice', 'bob']) this.identities.set(sub, { sub, role: 'user', issuedAt: 0, expiresAt: this.clock.now() + 3600_000 })
    this.policy = {
      authenticate: async (token) => {
        const identity = this.identities.get(token)
        if (!identity) throw new RuncastError('unauthenticated')
        return identity
      },
      enter: async () => () => {},
      mayView: (identity, owner) => identity.sub === owner,
      cancel: async (_identity, id) => {
        const written = await this.broker.status(id, 'cancelling')
        if (!written.ok) throw new RuncastError('already_final')
        return written.status
      },
    }
  }

  connect(jobId: string | null, options: ConnectOptions = {}): HubClient {
    return new HubClient(this, jobId, options)
  }

  /** Submits a job as `JobService` does. */
  async submit(id: string, owner = 'alice'): Promise<void> {
    await this.broker.create(id, owner)
    await this.feeds.add(owner, id)
  }

  /** Submits a job and starts it. */
  async run(id: string, owner = 'alice'): Promise<void> {
    await this.submit(id, owner)
    await this.broker.status(id, 'running')
  }

  /** Ends a job as `finalize` does. */
  async end(id: string, owner = 'alice', round = 1): Promise<void> {
    await this.broker.end(id, round)
    await this.feeds.remove(owner, id)
  }

  /** Fails a job, so that it can be retried. */
  async fail(id: string, owner = 'alice', round = 1): Promise<void> {
    await this.broker.fail(id, round)
    await this.feeds.remove(owner, id)
  }

  /** Opens another round as a retry does. */
  async retry(id: string, owner = 'alice', round = 2): Promise<void> {
    const written = await this.broker.retry(id, round)
    if (!written.ok) throw new Error(`${id} cannot be retried: ${written.reason}`)
    await this.feeds.add(owner, id, true)
  }

  /** Resources that remain some time after all clients have left: none, unless something leaks. */
  async leaks(): Promise<unknown[]> {
    await this.settle()
    this.clock.advance(this.hub.limits.lingerMs)
    await this.settle()
    const { pendingTimers } = this.clock
    return [...this.broker.subscribed, ...this.feeds.subscribed, ...(pendingTimers > 0 ? [`${pendingTimers} timers`] : [])]
  }

  async settle(): Promise<void> {
    for (let i = 0; i < 5; i += 1) {
      await settle()
      this.clock.turn()
    }
  }
}

/** Checks rule POS-2 and throws on a violation. Returns the entries after the last snapshot's replay. */
export function prove(messages: readonly Message[]): void {
  let last = -1
  let replayUpTo = -1
  for (const message of messages) {
    if (typeof message.seq !== 'number') continue
    if ('recovered' in message) {
      last = message.seq
      replayUpTo = message.seq
    } else if (message.seq > replayUpTo) {
      const prev = message.prev ?? message.seq - 1
      if (!(prev <= last && last < message.seq)) throw new Error(`after ${last} came seq ${message.seq} with prev ${prev}`)
      last = message.seq
    } else if (last > replayUpTo) throw new Error(`after ${last} came the older seq ${message.seq}`)
  }
}
