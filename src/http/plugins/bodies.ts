import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { RuncastError } from '../../protocol/codes.js'
import { hasBody } from '../has-body.js'
import { type BodyLimits, BodyWatch, DEFAULT_BODY_LIMITS } from './body-watch.js'
import { answerRaw } from './raw-answer.js'

export interface BodiesOptions extends BodyLimits {
  /** How often bodies are checked. */
  readonly checkMs: number
  /** After an error response, time and bytes that are still read from the client before its connection is closed. */
  readonly discardMs: number
  readonly maxDiscardedBytes: number
}

export const DEFAULT_BODIES_OPTIONS: BodiesOptions = { ...DEFAULT_BODY_LIMITS, checkMs: 1000, discardMs: 1000, maxDiscardedBytes: 65_536 }

/**
 * Limits slow request bodies. Node has one timeout for all requests of a server, from first byte to last. Here each
 * body is judged by its progress: one that stalls, is too slow, or has no valid token in time ends with 408. Responses
 * have no time limit.
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
          isAuthenticated: () => Boolean(request.identity),
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

/**
 * Reads the rest of a body after an error response. Closing a connection while its client sends resets it, and the
 * client may lose the response. If the body does not end soon, the connection is closed.
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
