import type { FastifyInstance, FastifyRequest } from 'fastify'

/** A setting of a host server that leaves a limit of the hub open, or cuts off connections that the hub needs. */
export interface HostFault {
  readonly setting: string
  readonly value: unknown
  readonly expected: string
}

const MAX_HEADERS_MS = 10_000
const MIN_BODY_MS = 60_000
/** A connection may be silent for this long and still be healthy: a worker's long poll waits for a job. */
const SILENT_MS = 60_000

/**
 * Settings of a host server that should be changed. They apply to all of its routes, so only its owner can change them.
 */
export function hostFaults({ server }: FastifyInstance): HostFault[] {
  const { headersTimeout, requestTimeout, keepAliveTimeout, timeout } = server
  // Undefined by default, which Node's types do not show.
  const maxConnections = server.maxConnections ?? 0
  const faults: (HostFault & { readonly isFine: boolean })[] = [
    {
      setting: 'http.headersTimeout',
      value: headersTimeout,
      isFine: headersTimeout > 0 && headersTimeout <= MAX_HEADERS_MS,
      expected: `1 to ${MAX_HEADERS_MS} ms; a client that sends its headers slowly holds a connection for this time`,
    },
    {
      setting: 'requestTimeout',
      value: requestTimeout,
      isFine: requestTimeout === 0 || requestTimeout >= MIN_BODY_MS,
      expected: `0, or at least ${MIN_BODY_MS} ms; it cuts off uploads that make progress; the hub itself ends stalled ones`,
    },
    {
      setting: 'keepAliveTimeout',
      value: keepAliveTimeout,
      isFine: keepAliveTimeout > 0,
      expected: 'more than 0 ms; otherwise idle connections are never closed',
    },
    {
      setting: 'connectionTimeout',
      value: timeout,
      isFine: timeout === 0 || timeout >= SILENT_MS,
      expected: `0, or at least ${SILENT_MS} ms; it closes streams and long polls that are silent for a while`,
    },
    {
      setting: 'server.maxConnections',
      value: maxConnections,
      isFine: maxConnections > 0,
      expected: 'more than 0; otherwise TCP connections are unlimited',
    },
  ]
  return faults.filter(({ isFine }) => !isFine).map(({ setting, value, expected }) => ({ setting, value, expected }))
}

/** Checks `trustProxy`, which is visible only through a request. Null if the setting is fine. */
export function proxyFault(request: FastifyRequest): HostFault | null {
  if (request.ips === undefined) {
    if (request.headers['x-forwarded-for'] === undefined) return null
    const expected = 'the addresses of your proxies; otherwise all clients behind a proxy share its address and the limits per address'
    return { setting: 'trustProxy', value: false, expected }
  }
  // Tests whether any proxy is trusted, with two addresses that belong to nobody (RFC 5737).
  const stranger = { raw: { headers: { 'x-forwarded-for': '192.0.2.1' }, socket: { remoteAddress: '198.51.100.1' } } }
  if (Reflect.get(Object.getPrototypeOf(request), 'ip', stranger) !== '192.0.2.1') return null
  const expected = 'the addresses of your proxies; otherwise a client can claim any address and so evade the limits per address'
  return { setting: 'trustProxy', value: true, expected }
}
