import { setTimeout as sleep } from 'node:timers/promises'
import type { JobEvent } from '../src/protocol/entry.js'
import { runEvents } from '../src/protocol/run-events.js'
import { cpuMicroseconds } from './node-process.js'
import { type FanOutNode, JOB_ID } from './nodes.js'
import { median } from './report.js'

const ROUNDS = 15
const SLICE_MS = 300

/** What a node costs, as medians over the rounds. */
export interface Cost {
  readonly name: string
  /** CPU of the node process, in µs. */
  readonly perDelivery: number
  /** How many times what the first node costs, of the slices of one round. */
  readonly ratio: number
  /** CPU of redis-server, in µs. */
  readonly redisPerEntry: number
}

/**
 * Lets the nodes take turns in short slices, so that what disturbs the machine disturbs all; each round begins with another one. In a slice one flush
 * follows the other as soon as every client has got it: the size of a flush is exact, and nothing waits in a buffer. A first round warms up.
 */
export async function compare(nodes: readonly FanOutNode[], redisPid: number, entriesPerFlush: number): Promise<Cost[]> {
  const slices = nodes.map((): Slice[] => [])
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (let turn = 0; turn < nodes.length; turn += 1) {
      const which = (round + turn) % nodes.length
      const node = nodes[which]
      const measured = node && (await measure(node, redisPid, entriesPerFlush))
      if (measured && round > 0) slices[which]?.push(measured)
    }
  }
  const [first = []] = slices
  return nodes.map(({ name }, i) => {
    const own = slices[i] ?? []
    return {
      name,
      perDelivery: median(own.map(({ perDelivery }) => perDelivery)),
      ratio: median(own.map(({ perDelivery }, round) => perDelivery / (first[round]?.perDelivery ?? Number.NaN))),
      redisPerEntry: median(own.map(({ redisPerEntry }) => redisPerEntry)),
    }
  })
}

interface Slice {
  readonly perDelivery: number
  readonly redisPerEntry: number
}

async function measure(node: FanOutNode, redisPid: number, entriesPerFlush: number): Promise<Slice> {
  const [before, redisBefore] = [cpuMicroseconds(node.pid), cpuMicroseconds(redisPid)]
  const end = performance.now() + SLICE_MS
  let entries = 0
  while (performance.now() < end) {
    await Promise.all([node.crowd.receive(entriesPerFlush), node.publish(metrics(entriesPerFlush))])
    entries += entriesPerFlush
  }
  await sleep(5) // the kernel books what a process has used when it goes to sleep
  return {
    perDelivery: (cpuMicroseconds(node.pid) - before) / (entries * node.crowd.size),
    redisPerEntry: (cpuMicroseconds(redisPid) - redisBefore) / entries,
  }
}

/** Bytes of a message as the clients of runcast get it. */
export function messageBytes(): number {
  return Math.max(...metrics(1).map(({ message }) => Buffer.byteLength(JSON.stringify({ ...message, seq: 10_000 }))))
}

/** Durable events, each of another metric. */
function metrics(count: number): JobEvent[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `peak_von_mises_stress_at_sweep_point_${100 + i}`
    return runEvents.metric(JOB_ID, name, 50 + Math.random() * 20, 'MPa')
  })
}
