import type { FastifyInstance, FastifyRequest } from 'fastify'

/** A setting of a host that leaves open, or cuts off, what a hub with a server of its own does not. */
export interface HostFault {
  readonly setting: string
  readonly value: unknown
  readonly expected: string
}

const MAX_HEADERS_MS = 10_000
const LEAST_BODY_MS = 60_000
/** How long a connection of a hub may say nothing and be well: that of a worker waits for a job. */
const SILENT_MS = 60_000

/**
 * The settings of a server in which a hub is mounted. They hold for all of its routes, so that only its owner can change them.
 */
export function hostFaults({ server }: FastifyInstance): HostFault[] {
  const { headersTimeout, requestTimeout, keepAliveTimeout, timeout } = server
  // Node leaves it undefined, which its types do not say.
  const maxConnections = server.maxConnections ?? 0
  const faults: (HostFault & { readonly isFine: boolean })[] = [
    {
      setting: 'http.headersTimeout',
      value: headersTimeout,
      isFine: headersTimeout > 0 && headersTimeout <= MAX_HEADERS_MS,
      expected: `1 to ${MAX_HEADERS_MS} ms: a client that sends its headers slowly holds a connection for so long`,
    },
    {
      setting: 'requestTimeout',
      value: requestTimeout,
      isFine: requestTimeout === 0 || requestTimeout >= LEAST_BODY_MS,
      expected: `0, or ${LEAST_BODY_MS} ms at least: it ends bodies that are well under way; the hub itself ends those that stall`,
    },
    {
      setting: 'keepAliveTimeout',
      value: keepAliveTimeout,
      isFine: keepAliveTimeout > 0,
      expected: 'more than 0 ms: an idle connection is never closed otherwise',
    },
    {
      setting: 'connectionTimeout',
      value: timeout,
      isFine: timeout === 0 || timeout >= SILENT_MS,
      expected: `0, or ${SILENT_MS} ms at least: it ends streams and long polls that are silent for a while`,
    },
    {
      setting: 'server.maxConnections',
      value: maxConnections,
      isFine: maxConnections > 0,
      expected: 'more than 0: nothing limits TCP connections otherwise',
    },
  ]
  return faults.filter(({ isFine }) => !isFine).map(({ setting, value, expected }) => ({ setting, value, expected }))
}

/** The same of `trustProxy`, which only a request can tell. Null where it is fine. */
export function proxyFault(request: FastifyRequest): HostFault | null {
  if (request.ips === undefined) {
    if (request.headers['x-forwarded-for'] === undefined) return null
    const expected = 'the addresses of your proxies: behind a proxy all clients share its address, and the limits of one address'
    return { setting: 'trustProxy', value: false, expected }
  }
  // Asked whom it believes: neither address belongs to anybody (RFC 5737).
  const stranger = { raw: { headers: { 'x-forwarded-for': '192.0.2.1' }, socket: { remoteAddress: '198.51.100.1' } } }
  if (Reflect.get(Object.getPrototypeOf(request), 'ip', stranger) !== '192.0.2.1') return null
  const expected = 'the addresses of your proxies: any client can claim any address otherwise, and so evade the limits of one address'
  return { setting: 'trustProxy', value: true, expected }
}
