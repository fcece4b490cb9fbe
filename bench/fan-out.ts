import { setTimeout as sleep } from 'node:timers/promises'
import type { JobEvent } from '../src/core/entry.js'
import { runEvents } from '../src/core/run-events.js'
import { cpuMicroseconds } from './node-process.js'
import { type FanOutNode, JOB_ID } from './nodes.js'
import { median } from './report.js'

const ROUNDS = 15
const WARM_UP_MS = 100
const SLICE_MS = 250

/** Cost of a node: medians over all rounds. */
export interface Cost {
  readonly name: string
  /** CPU time of the node process. */
  readonly usPerDelivery: number
  /** Ratio to the first node within one round. */
  readonly ratio: number
}

/**
 * Alternates between the nodes in short slices, so that disturbances affect all of them; each round starts with another
 * node. Within a slice the next flush starts once every client has received the last one, so the size of a flush is
 * exact and no buffer fills up. The first round is a warm-up.
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

/** µs per delivery in one slice, after a warm-up: TCP acknowledges each packet of an idle connection at once. */
async function measure(node: FanOutNode, entriesPerFlush: number): Promise<number> {
  await flood(node, entriesPerFlush, WARM_UP_MS)
  const before = cpuMicroseconds(node.pid)
  const deliveries = await flood(node, entriesPerFlush, SLICE_MS)
  return (cpuMicroseconds(node.pid) - before) / deliveries
}

/** Flushes repeatedly for this time. Returns the number of deliveries. */
async function flood(node: FanOutNode, entriesPerFlush: number, ms: number): Promise<number> {
  const end = performance.now() + ms
  let entries = 0
  while (performance.now() < end) {
    await Promise.all([node.crowd.receive(entriesPerFlush), node.publish(metrics(entriesPerFlush))])
    entries += entriesPerFlush
  }
  await sleep(5) // the kernel accounts CPU time when a process sleeps
  return entries * node.crowd.size
}

/** Size of a message of runcast as clients receive it. */
export function messageBytes(): number {
  const [event] = metrics(1)
  return Buffer.byteLength(JSON.stringify({ ...event?.message, seq: 10_000 }))
}

/** Persisted events, each of another metric. */
function metrics(count: number): JobEvent[] {
  return Array.from({ length: count }, (_, i) => {
    const name = `peak_von_mises_stress_at_sweep_point_${100 + i}`
    return runEvents.metric(JOB_ID, name, 57.062512345678, 'MPa')
  })
}
