import { setTimeout as sleep } from 'node:timers/promises'
import type { JobEvent } from '../src/core/entry.js'
import { runEvents } from '../src/core/run-events.js'
import { cpuMicroseconds } from './node-process.js'
import { type FanOutNode, JOB_ID } from './nodes.js'
import { median } from './report.js'

const ROUNDS = 15
const WARM_UP_MS = 100
const SLICE_MS = 250

/** What a node costs, as medians over the rounds. */
export interface Cost {
  readonly name: string
  /** CPU of the node process. */
  readonly usPerDelivery: number
  /** How many times what the first node costs, of the slices of one round. */
  readonly ratio: number
}

/**
 * Lets the nodes take turns in short slices, so that what disturbs the machine disturbs all; each round begins with another one. In a slice one flush
 * follows the other as soon as every client has got it: the size of a flush is exact, and nothing waits in a buffer. A first round is not counted.
 */
export async function compare(nodes: readonly FanOutNode[], entriesPerFlush: number): Promise<Cost[]> {
  const slices = nodes.map((): number[] => [])
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (let turn = 0; turn < nodes.length; turn += 1) {
      const which = (round + turn) % nodes.length
      const node = nodes[which]
      const measured = node && (await measure(node, entriesPerFlush))
      if (measured !== undefined && round > 0) slices[which]?.push(measured)
    }
  }
  const [first = []] = slices
  return nodes.map(({ name }, i) => {
    const own = slices[i] ?? []
    return { name, usPerDelivery: median(own), ratio: median(own.map((cost, round) => cost / (first[round] ?? Number.NaN))) }
  })
}

/** µs per delivery in one slice. It is warmed up before: connections that were idle acknowledge each packet at once, at the cost of the sender. */
async function measure(node: FanOutNode, entriesPerFlush: number): Promise<number> {
  await flood(node, entriesPerFlush, WARM_UP_MS)
  const before = cpuMicroseconds(node.pid)
  const deliveries = await flood(node, entriesPerFlush, SLICE_MS)
  return (cpuMicroseconds(node.pid) - before) / deliveries
}

/** One flush after the other for so long; answers how many deliveries that was. */
async function flood(node: FanOutNode, entriesPerFlush: number, ms: number): Promise<number> {
  const end = performance.now() + ms
  let entries = 0
  while (performance.now() < end) {
    await Promise.all([node.crowd.receive(entriesPerFlush), node.publish(metrics(entriesPerFlush))])
    entries += entriesPerFlush
  }
  await sleep(5) // the kernel books what a process has used when it goes to sleep
  return entries * node.crowd.size
}

/** Bytes of a message as the clients of runcast get it. */
export function messageBytes(): number {
  const [event] = metrics(1)
  return Buffer.byteLength(JSON.stringify({ ...event?.message, seq: 10_000 }))
}

/** Durable events, each of another metric. */
function metrics(count: number): JobEvent[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `peak_von_mises_stress_at_sweep_point_${100 + i}`
    return runEvents.metric(JOB_ID, name, 57.062512345678, 'MPa')
  })
}
