import type { FastifyReply, FastifyRequest } from 'fastify'
import { PROBLEM_TYPE } from '../../protocol/error-body.js'

const STREAM = 'text/event-stream'
const JSON_TYPE = 'application/json'
/** Precision of a range that names a type, without a wildcard. */
const EXACT = 2

/** Whether the client prefers a stream over JSON, which is the default. A HEAD request has no body to stream. */
export function wantsEventStream({ method, headers }: Pick<FastifyRequest, 'method' | 'headers'>): boolean {
  if (method === 'HEAD' || headers.accept === undefined) return false
  const ranges = rangesOf(headers.accept)
  const [stream, json] = [weigh(ranges, STREAM), weigh(ranges, JSON_TYPE)]
  if (stream.quality === 0) return false
  // With equal quality, a type named exactly wins over a wildcard.
  return stream.quality > json.quality || (stream.quality === json.quality && stream.precision > json.precision)
}

/** Whether the client prefers plain text over JSON, which is the default. */
export function wantsText({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  const ranges = rangesOf(headers.accept ?? '')
  const [text, json] = [weigh(ranges, 'text/plain'), weigh(ranges, JSON_TYPE)]
  return text.quality > 0 && (text.quality > json.quality || (text.quality === json.quality && text.precision > json.precision))
}

/** Whether the client requests errors as RFC 9457: it names the type, and likes it no less than JSON. */
export function wantsProblem({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  const ranges = rangesOf(headers.accept ?? '')
  const [problem, json] = [weigh(ranges, PROBLEM_TYPE), weigh(ranges, JSON_TYPE)]
  return problem.precision === EXACT && problem.quality > 0 && problem.quality >= json.quality
}

/** Adds `Accept` to the `Vary` header. */
export function varyByAccept(reply: FastifyReply): void {
  const varied = [reply.getHeader('vary') ?? []].flat().join(', ')
  if (!/\baccept\b(?!-)/.test(varied)) void reply.header('vary', varied === '' ? 'accept' : `${varied}, accept`)
}

interface Range {
  readonly type: string
  readonly quality: number
}

function rangesOf(accept: string): Range[] {
  return accept.split(',').map(readRange)
}

/** A media range of `Accept` (RFC 9110, section 12.5.1). An invalid quality counts as 0. */
function readRange(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const q = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2)
  return { type, quality: q === undefined ? 1 : /^(0(\.\d{0,3})?|1(\.0{0,3})?)$/.test(q) ? Number(q) : 0 }
}

/** The quality of a type, by the most precise matching range. */
function weigh(ranges: readonly Range[], type: string): { quality: number; precision: number } {
  const patterns = ['*/*', `${type.split('/')[0]}/*`, type]
  for (let precision = patterns.length - 1; precision >= 0; precision -= 1) {
    const range = ranges.find((range) => range.type === patterns[precision])
    if (range) return { quality: range.quality, precision }
  }
  return { quality: 0, precision: -1 }
}
