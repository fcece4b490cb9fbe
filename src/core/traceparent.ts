/** W3C Trace Context, section 3.2: version, trace id, id of the parent span, flags. Ids of zeros are invalid. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

export function isTraceparent(value: unknown): value is string {
  return typeof value === 'string' && TRACEPARENT.test(value)
}

/** The trace id in a valid `traceparent`. */
export function traceIdOf(traceparent: string): string {
  return traceparent.slice(3, 35)
}

/** The parts of a valid `traceparent`. */
export function parseTraceparent(traceparent: string): { traceId: string; spanId: string; traceFlags: number } {
  return { traceId: traceIdOf(traceparent), spanId: traceparent.slice(36, 52), traceFlags: Number.parseInt(traceparent.slice(53), 16) }
}
