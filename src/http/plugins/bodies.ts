import type { IncomingMessage } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { RuncastError } from '../../protocol/codes.js'
import { type BodyLimits, BodyWatch, DEFAULT_BODY_LIMITS } from './body-watch.js'
import { answerRaw } from './raw-answer.js'

export interface BodiesOptions extends BodyLimits {
  /** How often bodies are looked at. */
  readonly checkMs: number
  /** How long a client that was refused may go on to send its body, and how much of it, before its connection is closed. */
  readonly discardMs: number
  readonly maxDiscardedBytes: number
}

export const DEFAULT_BODIES_OPTIONS: BodiesOptions = { ...DEFAULT_BODY_LIMITS, checkMs: 1000, discardMs: 1000, maxDiscardedBytes: 65_536 }

/**
 * Request bodies that do not come. Node has one time for all requests of a server, from first byte to last; here each body has its own, by how it comes: one that
 * stalls, or is too slow, or comes without a token, ends with 408. Answers take as long as they take.
 */
export const bodies = fp(
  async (app: FastifyInstance, options: BodiesOptions) => {
    const watch = new BodyWatch(options)
    const timer = setInterval(() => watch.check(), options.checkMs).unref()
    app.addHook('onClose', async () => clearInterval(timer))

    app.addHook('onRequest', (request, reply, done) => {
      const { raw } = request
      if (hasBody(raw)) {
        const { socket } = raw
        watch.add({
          isOver: () => raw.complete || socket.destroyed,
          isKnown: () => Boolean(request.identity),
          bytesRead: () => socket.bytesRead,
          end: () => {
            app.tally.refusals.add('request_timeout')
            if (reply.raw.headersSent) socket.destroy()
            else answerRaw(socket, new RuncastError('request_timeout'))
          },
        })
      }
      done()
    })

    app.addHook('onSend', (request, reply, payload, done) => {
      if (reply.statusCode < 400 || request.raw.complete || !hasBody(request.raw)) return done(null, payload)
      void discardBody(request, reply, options).then(() => done(null, payload))
    })
  },
  { name: 'bodies', dependencies: ['counting'] },
)

function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}

/**
 * Reads what still comes of the body of a request that was refused before it was there. A connection that is closed while its client sends is reset, which takes
 * the answer with it. A body that goes on costs the connection.
 */
async function discardBody({ raw }: FastifyRequest, reply: FastifyReply, { discardMs, maxDiscardedBytes }: BodiesOptions): Promise<void> {
  const isOver = await new Promise<boolean>((resolve) => {
    let bytes = 0
    const timer = setTimeout(() => resolve(false), discardMs)
    const settle = () => {
      clearTimeout(timer)
      resolve(raw.complete)
    }
    raw.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= maxDiscardedBytes) return
      raw.pause()
      settle()
    })
    raw.once('end', settle).once('close', settle)
  })
  if (!isOver) void reply.header('connection', 'close')
}
