import { randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import type { Entry } from '../../src/core/entry.js'
import { type Broker, type BrokerLimits, DEFAULT_BROKER_LIMITS, type Heartbeats } from '../../src/storage/broker.js'
import type { Checkpoints } from '../../src/storage/checkpoints.js'
import type { ActiveRounds, ChildJobs, JobStore } from '../../src/storage/job-store.js'
import { RedisBroker } from '../../src/storage/redis/broker.js'
import { RedisJobStore } from '../../src/storage/redis/job-store.js'
import { RedisKeys } from '../../src/storage/redis/keys.js'
import { RedisTelemetry } from '../../src/storage/redis/telemetry.js'
import type { TelemetryStore } from '../../src/storage/telemetry.js'
import { BUILT_IN } from '../support/kinds.js'
import { MemoryBroker } from '../support/memory-broker.js'

/** What serves both ports. */
export interface Backend {
  readonly broker: Broker & Heartbeats & Checkpoints
  readonly store: JobStore & ChildJobs & ActiveRounds
  readonly telemetry: TelemetryStore
  /** Begins every key, on Redis. */
  readonly prefix: string
}

/** Opens a backend without any jobs, for one test. */
export type OpenBackend = (t: Test, limits?: Partial<BrokerLimits>) => Backend

export const openMemory: OpenBackend = (_t, limits) => {
  const memory = new MemoryBroker(limits)
  return { broker: memory, store: memory, telemetry: memory.telemetry, prefix: '' }
}

/** Each on a prefix of its own, unless one is given: then it is another node of the same cluster. */
export function openRedis(t: Test, url: string, limits: Partial<BrokerLimits> = {}, prefix = `test-${randomUUID()}`): Backend {
  const options = { url, prefix, limits: { ...DEFAULT_BROKER_LIMITS, ...limits }, kinds: BUILT_IN }
  const broker = new RedisBroker(options)
  const store = new RedisJobStore(options)
  t.teardown(async () => {
    store.close()
    await broker.close()
  })
  const telemetry = new RedisTelemetry({ commands: broker.commands, subscriber: () => broker.channels, keys: new RedisKeys(prefix) })
  return { broker, store, telemetry, prefix }
}

/** What a listener was told, in order. */
export interface Heard {
  readonly entries: Entry[]
  readonly gaps: string[]
}

export function listenTo(broker: Broker): Heard {
  const heard: Heard = { entries: [], gaps: [] }
  broker.listen({ entry: (entry) => heard.entries.push(entry), gap: (id) => heard.gaps.push(id) })
  return heard
}

export function seqsOf(entries: Iterable<Entry> | undefined): number[] | undefined {
  return entries && [...entries].map((entry) => entry.seq)
}

/** An entry in a form that assertions can show: its bytes as text. */
export function readable({ body, ...head }: Entry): Omit<Entry, 'body'> & { body: string } {
  return { ...head, body: body.toString() }
}
