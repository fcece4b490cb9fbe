import { randomBytes } from 'node:crypto'
import { createAdapter } from '@socket.io/redis-adapter'
import { Redis } from 'ioredis'
import { Server } from 'socket.io'
import { v7 as uuidv7 } from 'uuid'
import { signToken } from '../src/cli/token.js'
import type { JobEvent } from '../src/core/entry.js'
import { runEvents } from '../src/core/run-events.js'
import { DEFAULT_BROKER_LIMITS } from '../src/storage/broker.js'
import { RedisBroker } from '../src/storage/redis/broker.js'
import { RedisJobStore } from '../src/storage/redis/job-store.js'
import { BUILT_IN } from '../test/support/kinds.js'
import { Crowd } from './crowd.js'
import { startNode } from './node-process.js'

const OWNER = 'bench'

/**
 * Intervals longer than any measurement, so that no client is pinged and the sweeper does not end the job without a
 * worker. The limits allow all clients, which are one user at one address.
 */
const UNDISTURBED = {
  PING_INTERVAL_MS: '600000',
  SWEEP_INTERVAL_MS: '600000',
  MAX_SOCKETS_PER_USER: '100000',
  MAX_UPGRADES_PER_SECOND: '100000',
  MAX_REQUESTS_PER_SECOND: '100000',
  MAX_STRANGER_REQUESTS_PER_SECOND: '100000',
  MAX_PENDING_SOCKETS: '100000',
  MAX_PENDING_SOCKETS_PER_ADDRESS: '100000',
}

/** A server under measurement, its clients, and a publisher that reaches it through Redis only. */
export interface FanOutNode {
  readonly name: string
  readonly pid: number
  readonly crowd: Crowd
  /** Sends the events to Redis in one batch, so that they reach the node together. */
  publish(events: readonly JobEvent[]): Promise<void>
  close(): Promise<void>
}

/** The job whose metrics are published. */
export const JOB_ID = uuidv7()

/** A hub of runcast. Publishes as a worker does: fenced writer, one script call per batch, persisted events only. */
export async function startRuncast(redisUrl: string, size: number): Promise<FanOutNode> {
  const options = { url: redisUrl, prefix: 'runcast', limits: DEFAULT_BROKER_LIMITS, kinds: BUILT_IN }
  const [store, broker, secret] = [new RedisJobStore(options), new RedisBroker(options), randomBytes(32).toString('hex')]
  const job = { id: JOB_ID, kind: 'run', owner: OWNER, input: '{}', digest: '', generation: randomBytes(6).toString('hex') } as const
  await store.create(
    { ...job, timeoutMs: 3600_000, solver: null, parent: null, created_at: new Date().toISOString() },
    runEvents.status(JOB_ID, 'queued'),
  )
  store.close()
  let writes = 0
  const publish = async (events: readonly JobEvent[]) => {
    const outcome = await broker.publish(JOB_ID, events, { round: 1, token: 1, n: ++writes })
    if (!outcome.ok) throw new Error(`runcast rejected a write: ${outcome.reason}`)
  }
  await publish([runEvents.status(JOB_ID, 'running')])
  const node = await startNode('../src/main.js', { REDIS_URL: redisUrl, JWT_SECRET: secret, LOG_LEVEL: 'warn', ...UNDISTURBED })
  const token = signToken(secret, OWNER, 3600)
  const crowd = await Crowd.connect(`http://${node.host}/api/v2/ws/runs/${JOB_ID}?token=${token}`, size)
  await crowd.receive(1) // the snapshot
  return { name: 'runcast', pid: node.pid, crowd, publish, close: closing(crowd, node, () => broker.close()) }
}

/** `ws` and ioredis. Publishes with a pipeline of PUBLISH. */
export async function startPlainWs(redisUrl: string, size: number): Promise<FanOutNode> {
  const redis = new Redis(redisUrl)
  const node = await startNode('./peers/plain-ws.js', { REDIS_URL: redisUrl, CHANNEL: JOB_ID })
  const crowd = await Crowd.connect(`http://${node.host}/`, size)
  let seq = 0
  const publish = async (events: readonly JobEvent[]) => {
    const pipeline = redis.pipeline()
    for (const { message } of events) pipeline.publish(JOB_ID, JSON.stringify({ ...message, seq: ++seq }))
    await pipeline.exec()
  }
  return { name: 'plain ws', pid: node.pid, crowd, publish, close: closing(crowd, node, () => redis.disconnect()) }
}

/** Socket.IO with its Redis adapter. Publishes through a second server without clients, which emits to the room. */
export async function startSocketIo(redisUrl: string, size: number): Promise<FanOutNode> {
  const [commands, subscriptions] = [new Redis(redisUrl, { enableAutoPipelining: true }), new Redis(redisUrl)]
  const publisher = new Server({ adapter: createAdapter(commands, subscriptions) })
  const node = await startNode('./peers/socket-io.js', { REDIS_URL: redisUrl, CHANNEL: JOB_ID })
  const crowd = await Crowd.connect(`http://${node.host}/socket.io/?EIO=4&transport=websocket`, size)
  await crowd.receive(1) // open of Engine.IO
  crowd.sendText('40') // CONNECT of Socket.IO
  await crowd.receive(1) // and its answer
  let seq = 0
  const publish = async (events: readonly JobEvent[]) => {
    for (const { message } of events) publisher.to(JOB_ID).emit('metric_update', { ...message, seq: ++seq })
  }
  const disconnect = () => {
    commands.disconnect()
    subscriptions.disconnect()
  }
  return { name: 'Socket.IO', pid: node.pid, crowd, publish, close: closing(crowd, node, disconnect) }
}

function closing(crowd: Crowd, node: { stop(): Promise<void> }, disconnect: () => Promise<void> | void): () => Promise<void> {
  return async () => {
    crowd.close()
    await disconnect()
    await node.stop()
  }
}
