import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below the ports that the system uses for outgoing connections (32768 and up on Linux, 49152 elsewhere), so that no
 * such connection takes the port meanwhile. At least 10,000 below them, because a Redis in cluster mode opens a second
 * port at + 10,000.
 */
const FIRST = 10_000
const LAST = 14_999

/** A port of 127.0.0.1 that is free now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST + 1)
    if (await isFree(port)) return port
  }
}

/** Whether this port of 127.0.0.1 is free now. */
export async function isFree(port: number): Promise<boolean> {
  const probe = createServer().listen(port, '127.0.0.1')
  try {
    await once(probe, 'listening')
  } catch {
    return false
  }
  await new Promise((closed) => probe.close(closed))
  return true
}
