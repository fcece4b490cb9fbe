import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { LOCAL_MODEL } from '../../../src/kinds/benchmark/provider.js'
import type { LocalAddress } from '../target.js'
import { readChatRequest } from './chat-request.js'
import { answerStream, answerWhole, completionOf } from './completions.js'
import { Counts } from './ngram.js'
import { tokenise } from './tokens.js'

const MAX_BODY_BYTES = 1_048_576

/** The running built-in provider. */
export interface LocalProvider extends LocalAddress {
  close(): Promise<void>
}

/**
 * Trains the n-gram model on a text and serves it on a free port of 127.0.0.1 by the OpenAI chat completions interface:
 * `GET /v1/models`, `POST /v1/chat/completions`, streamed or whole. Clients need the key, which is new at each start.
 * Errors have the interface's shape.
 */
export async function startLocalProvider(corpus: string): Promise<LocalProvider> {
  const model = new Counts(tokenise(corpus))
  const key = randomBytes(24).toString('base64url')
  const server = createServer((request, response) => {
    serve(model, key, request, response).catch(() => response.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo // it listens on TCP
  const close = async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  }
  return { baseUrl: `http://127.0.0.1:${port}/v1`, key, close }
}

async function serve(model: Counts, key: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.headers.authorization !== `Bearer ${key}`) return refuse(response, 401, 'invalid_api_key', 'This key is not valid.')
  const route = `${request.method} ${request.url}`
  if (route === 'GET /v1/models') return listModels(response)
  if (route === 'POST /v1/chat/completions') return complete(model, request, response)
  return refuse(response, 404, 'not_found', 'There is nothing at this address.')
}

function listModels(response: ServerResponse): void {
  const data = [{ id: LOCAL_MODEL.name, object: 'model', created: 0, owned_by: 'runcast' }]
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ object: 'list', data }))
}

async function complete(model: Counts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const text = await bodyOf(request)
  if (text === null) return refuse(response, 413, 'too_large', 'The body is too large.')
  const chat = readChatRequest(text)
  if (typeof chat === 'string') return refuse(response, 400, 'invalid_request', chat)
  if (chat.model !== LOCAL_MODEL.name) return refuse(response, 404, 'model_not_found', 'There is no such model.')
  const completion = completionOf(model, chat)
  const needed = completion.promptTokens + completion.maxTokens
  if (needed > LOCAL_MODEL.context_window) {
    const message = `${needed} tokens of prompt and answer are more than the context window of ${LOCAL_MODEL.context_window}.`
    return refuse(response, 400, 'context_length_exceeded', message)
  }
  if (!chat.stream) return answerWhole(response, LOCAL_MODEL.name, completion)
  return answerStream(response, LOCAL_MODEL.name, completion, chat.stream_options?.include_usage === true)
}

/** The whole body, or null if it is larger than any prompt of this model. */
async function bodyOf(request: IncomingMessage): Promise<string | null> {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length
    if (size > MAX_BODY_BYTES) return null
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ error: { message, type: 'invalid_request_error', param: null, code } }))
}
