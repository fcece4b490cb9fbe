import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { CODES, type CodeName, RuncastError } from '../../protocol/codes.js'
import { bodyOf } from './errors.js'

/** Answers a connection on which there is no request to reply to, in the shape of any error, and ends it. */
export function answerRaw(socket: Duplex, refusal: RuncastError): void {
  const { http } = CODES[refusal.code]
  const body = JSON.stringify(bodyOf(refusal))
  const head = [
    `HTTP/1.1 ${http} ${STATUS_CODES[http]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'cache-control: no-store',
    'connection: close',
    ...(refusal.retryAfterMs === undefined ? [] : [`retry-after: ${Math.ceil(refusal.retryAfterMs / 1000)}`]),
  ]
  if (!socket.writable) socket.destroy()
  else socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

/** What Node's HTTP parser says of a request that it gives up. */
const FAULTS: Readonly<Record<string, CodeName>> = { ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout', HPE_HEADER_OVERFLOW: 'headers_too_big' }

/** Fastify's `clientErrorHandler`: answers what is no HTTP, or comes too slowly to become a request. */
export function answerMalformed(this: FastifyInstance, error: Error & { code?: string }, socket: Duplex): void {
  // The peer has gone: there is nobody to answer.
  if (error.code === 'ECONNRESET' || socket.destroyed) return
  const refusal = new RuncastError(FAULTS[error.code ?? ''] ?? 'bad_request')
  this.tally.refusals.add(refusal.code)
  this.log.debug({ err: error }, 'malformed request')
  answerRaw(socket, refusal)
}
