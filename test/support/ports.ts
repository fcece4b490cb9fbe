import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { isFree } from '../../src/embedded/redis-port.js'

/**
 * Ports of 127.0.0.1 for the tests, next to those that an embedded Redis takes and below those of outgoing connections.
 * They are divided into slices. A process owns a slice while it listens on its first port, so that test files that run
 * side by side never choose the same port.
 */
const FIRST = 15_000
const SLICES = 100
const PORTS_OF_A_SLICE = 50

interface Slice {
  next: number
  readonly end: number
}

let slice: Promise<Slice> | undefined

/** The first of `inARow` consecutive ports of 127.0.0.1 that no other test gets. At most 49. */
export async function testPort(inARow = 1): Promise<number> {
  for (;;) {
    slice ??= takeSlice()
    const ours = slice
    const owned = await ours
    const port = owned.next
    if (port + inARow > owned.end) {
      if (slice === ours) slice = undefined
      continue
    }
    owned.next += inARow
    const ports = Array.from({ length: inARow }, (_, i) => port + i)
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return port
  }
}

/** Takes a slice until the process ends. */
async function takeSlice(): Promise<Slice> {
  const offset = randomInt(SLICES)
  for (let i = 0; i < SLICES; i++) {
    const first = FIRST + ((offset + i) % SLICES) * PORTS_OF_A_SLICE
    const owner = createServer().listen(first, '127.0.0.1')
    try {
      await once(owner, 'listening')
    } catch {
      continue
    }
    owner.unref()
    return { next: first + 1, end: first + PORTS_OF_A_SLICE }
  }
  throw new Error(`Other programs use the ports ${FIRST} to ${FIRST + SLICES * PORTS_OF_A_SLICE - 1}.`)
}
