import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { type CodeName, RuncastError } from '../../protocol/codes.js'
import { errorBodyOf } from '../../protocol/error-body.js'

/** Writes an error response to a connection past Fastify, always as `ErrorBody`, and closes it. */
export function answerRaw(socket: Duplex, failure: RuncastError): void {
  const { status } = failure
  const body = JSON.stringify(errorBodyOf(failure))
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: no-store',
    'connection: close',
    ...(failure.retryAfterMs === undefined ? [] : [`retry-after: ${Math.ceil(failure.retryAfterMs / 1000)}`]),
  ]
  if (!socket.writable) socket.destroy()
  else socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

/** Errors of Node's HTTP parser that have a code of their own. */
const FAULTS: Readonly<Record<string, CodeName>> = { ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout', HPE_HEADER_OVERFLOW: 'headers_too_big' }

/** Fastify's `clientErrorHandler`: answers input that is not HTTP, and headers that arrive too slowly. */
export function answerMalformed(this: FastifyInstance, error: Error & { code?: string }, socket: Duplex): void {
  // The peer is gone.
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const failure = new RuncastError(FAULTS[error.code ?? ''] ?? 'bad_request')
  this.tally.refusals.add(failure.code)
  this.log.debug({ err: error }, 'malformed request')
  answerRaw(socket, failure)
}
