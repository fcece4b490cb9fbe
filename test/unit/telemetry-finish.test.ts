import t, { type Test } from 'tap'
import { processDialect } from '../../src/core/dialect.js'
import type { JobState } from '../../src/core/job-state.js'
import { ArtifactSubscription } from '../../src/hub/artifact-subscription.js'
import { HubTally } from '../../src/hub/hub-tally.js'
import { LogSubscription } from '../../src/hub/log-subscription.js'
import { Outbox } from '../../src/hub/outbox.js'
import { TelemetryPump } from '../../src/hub/telemetry-pump.js'
import { TelemetryTopic } from '../../src/hub/telemetry-topic.js'
import { runKind } from '../../src/kinds/run/kind.js'
import { attemptEpoch, logEpoch, type TelemetryStore } from '../../src/storage/telemetry.js'
import { ManualClock, ManualTransport } from '../support/manual.js'

/** The telemetry of one job, as a store answers that a test writes. */
class World {
  readonly clock = new ManualClock()
  readonly transport = new ManualTransport()
  released = 0
  #store: Partial<TelemetryStore> = {}
  readonly #ports

  constructor(t: Test) {
    const owner = { overflowed: () => {}, drained: () => {}, stalled: () => {}, cleared: () => {} }
    const outbox = new Outbox(this.transport, this.clock, { maxOutboxBytes: 1e6, stallMs: 1e6 }, owner, new HubTally())
    const telemetry = {
      lines: (id: string, query: never) => this.#store.lines?.(id, query),
      artifacts: (id: string) => this.#store.artifacts?.(id),
    } as TelemetryStore
    const fault = (error: unknown) => t.error(error)
    this.#ports = {
      topic: new TelemetryTopic('j', { telemetry, clock: this.clock, onFault: fault }, 1000),
      pump: new TelemetryPump(outbox, this.clock, fault),
      dialect: processDialect,
      view: () => ({ id: 'j', kind: runKind, owner: 'alice' }) as unknown as JobState,
      released: () => {
        this.released += 1
      },
    }
  }

  log(): LogSubscription {
    return new LogSubscription(this.#ports, {})
  }

  artifacts(): ArtifactSubscription {
    return new ArtifactSubscription(this.#ports, '')
  }

  has(store: Partial<TelemetryStore>): void {
    this.#store = store
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i += 1) {
      await new Promise(setImmediate)
      this.clock.turn()
    }
  }

  get told() {
    return this.transport.writes.flat().map(({ payload }) => JSON.parse(Buffer.from(payload).toString()))
  }
}

/** A log with so many lines. */
function logOf(count: number, epoch: string, status: 'running' | 'failed'): Partial<TelemetryStore> {
  const lines = Array.from({ length: count }, (_, i) => Buffer.from(JSON.stringify({ text: `${i + 1}` })))
  const first = (after = 0) => Math.min(after, count) + 1
  return {
    lines: async (_id, { after }) => {
      return { owner: 'alice', status, epoch, oldest: 1, last: count, first: first(after), lines: lines.slice(first(after) - 1) }
    },
  }
}

t.test('[LOG-3] a log that goes on in a restarted Redis is sent to its end', async (t) => {
  const world = new World(t)
  world.has(logOf(0, logEpoch('before', 1), 'running'))
  const log = world.log()
  log.start()
  await world.settle()
  world.has(logOf(3, logEpoch('after', 1), 'failed'))
  log.finish()
  await world.settle()
  t.match(world.told.at(-1), { type: 'process_log', epoch: 'after.1', first: 1, lines: { length: 3 }, end: true })
  t.equal(world.released, 1)
})

t.test('[LOG-3] the lines of the next execution are not sent after the end', async (t) => {
  const world = new World(t)
  world.has(logOf(1, logEpoch('g', 1), 'running'))
  const log = world.log()
  log.start()
  await world.settle()
  world.has(logOf(3, logEpoch('g', 2), 'running'))
  log.finish()
  await world.settle()
  t.equal(world.told.length, 1)
  t.equal(world.released, 1)
})

t.test('[ART-11] the artifacts of a last attempt are sent after the end, those of the next execution not', async (t) => {
  for (const [epoch, names] of [
    [attemptEpoch('g', 1, 2), ['b']],
    [attemptEpoch('g', 2, 1), ['a']],
  ] as const) {
    const world = new World(t)
    const holding = (epoch: string, name: string): Partial<TelemetryStore> => {
      const artifact = {
        name,
        mediaType: 'text/plain',
        bytes: 1,
        sha256: '',
        object: null,
        url: 'https://example.com/',
        createdAt: '',
        n: 1,
      }
      return { artifacts: async () => ({ owner: 'alice', epoch, artifacts: [artifact] }) }
    }
    world.has(holding(attemptEpoch('g', 1, 1), 'a'))
    const artifacts = world.artifacts()
    artifacts.start()
    await world.settle()
    world.has(holding(epoch, 'b'))
    artifacts.finish()
    await world.settle()
    t.same(
      world.told.at(-1).artifacts.map(({ name }: { name: string }) => name),
      names,
      epoch,
    )
    t.equal(world.released, 1)
  }
})
