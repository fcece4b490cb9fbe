import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runMain } from '../src/app/process.js'
import { findRedis } from '../src/embedded/find-redis.js'
import { startRedisServer } from '../src/embedded/redis-server.js'
import { type Cost, compare, messageBytes } from './fan-out.js'
import { type FanOutNode, startPlainWs, startRuncast, startSocketIo } from './nodes.js'
import { machine, table, versionsOf } from './report.js'

const SUBSCRIBERS = 500
const ENTRIES_PER_FLUSH = [1, 5, 20]
const MAX_RUN_MS = 90_000
const RESULTS = fileURLToPath(new URL('../../bench/results/fan-out.json', import.meta.url))

/**
 * `npm run bench`: CPU per delivery of a node with many clients on one topic, against two peers. A lost delivery fails
 * it.
 */
async function main(): Promise<void> {
  if (!existsSync('/proc/self/schedstat')) throw new Error('The bench reads the CPU of its servers from /proc: it runs on Linux only.')
  // A time limit for the whole process, which also ends its children.
  setTimeout(() => fail(`The bench was not done after ${MAX_RUN_MS / 1000} s.`), MAX_RUN_MS).unref()
  const redis = await startRedisServer()
  const nodes: FanOutNode[] = []
  const results = new Map<number, readonly Cost[]>()
  try {
    for (const start of [startRuncast, startPlainWs, startSocketIo]) nodes.push(await start(redis.url, SUBSCRIBERS))
    for (const entries of ENTRIES_PER_FLUSH) results.set(entries, await compare(nodes, entries))
  } finally {
    await Promise.all(nodes.map((node) => node.close()))
    await redis.stop()
  }
  const versions = versionsOf(['ws', 'fastify', 'ioredis', 'socket.io', '@socket.io/redis-adapter'])
  report(results, { ...versions, redis: (await findRedis()).version })
}

function report(results: ReadonlyMap<number, readonly Cost[]>, versions: Readonly<Record<string, string>>): void {
  const [costs = []] = results.values()
  const bytes = messageBytes()
  const { processor, cores, system } = machine()
  const rows = [...results].map(([entries, costs]) => [
    String(entries),
    ...costs.map(({ usPerDelivery, ratio }, i) => usPerDelivery.toFixed(2) + (i === 0 ? '' : ` (${ratio.toFixed(1)}×)`)),
  ])
  const head = ['entries per flush', ...costs.map(({ name }) => name)]
  process.stdout.write(`
Fan-out of one topic to ${SUBSCRIBERS} WebSockets, messages of ${bytes} bytes: µs of CPU of the node process per delivery
${table([head, ...rows])}  In brackets: how many times what runcast needs, median of the pairs.

${processor}, ${cores} cores, ${system}
${Object.entries(versions)
  .map(([name, version]) => `${name} ${version}`)
  .join(', ')}
`)
  const medians = [...results].map(([entriesPerFlush, costs]) => ({ entriesPerFlush, costs: costs.map(rounded) }))
  const record = { date: new Date().toISOString(), machine: machine(), versions, subscribers: SUBSCRIBERS, messageBytes: bytes, medians }
  mkdirSync(dirname(RESULTS), { recursive: true })
  writeFileSync(RESULTS, `${JSON.stringify(record, null, 2)}\n`)
}

function rounded({ name, usPerDelivery, ratio }: Cost): Cost {
  return { name, usPerDelivery: Number(usPerDelivery.toFixed(2)), ratio: Number(ratio.toFixed(2)) }
}

function fail(reason: string): never {
  process.stderr.write(`${reason}\n`)
  process.exit(1)
}

await runMain(main)
