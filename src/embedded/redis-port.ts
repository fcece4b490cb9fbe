import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below the ports that the system gives to outgoing connections (32768 and up on Linux, 49152 elsewhere): none of those takes it in the meantime.
 * And 10,000 below that, where a Redis in cluster mode opens its second port.
 */
const FIRST = 10_000
const LAST = 19_999

/** The first of `inARow` ports of 127.0.0.1 that nobody listens on at this moment. */
export async function freePort(inARow = 1): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST - inARow)
    const ports = Array.from({ length: inARow }, (_, i) => port + i)
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return port
  }
}

/** Whether nobody listens on this port of 127.0.0.1 at this moment. */
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
