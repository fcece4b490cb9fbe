import { randomInt, randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ChatRequest } from './chat-request.js'
import { type Counts, generate, seededRandom } from './ngram.js'
import { tokenise } from './tokens.js'

const DEFAULT_MAX_TOKENS = 256

/** One answer of the model, generated as it is read. */
export interface Completion {
  readonly promptTokens: number
  readonly maxTokens: number
  readonly tokens: Generator<string, never>
}

/** Reads the prompt, which takes longer the longer it is, and prepares the answer. */
export function completionOf(model: Counts, request: ChatRequest): Completion {
  const prompt = tokenise(request.messages.map(({ content }) => content).join('\n'))
  const random = seededRandom(request.seed ?? randomInt(2 ** 32))
  return {
    promptTokens: prompt.length,
    maxTokens: request.max_completion_tokens ?? request.max_tokens ?? DEFAULT_MAX_TOKENS,
    tokens: generate(model, prompt, { temperature: request.temperature ?? 1, random }),
  }
}

/** Sends the answer as one JSON document. */
export function answerWhole(response: ServerResponse, model: string, completion: Completion): void {
  let content = ''
  for (let i = 0; i < completion.maxTokens; i += 1) content += completion.tokens.next().value
  const choices = [{ index: 0, message: { role: 'assistant', content }, finish_reason: 'length' }]
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ ...envelope('chat.completion', model), choices, usage: usageOf(completion) }))
}

/**
 * Streams the answer as server-sent events: a chunk with the role, one per token, one with the finish reason, one with
 * the usage if it was requested, and `[DONE]`. Ends early when the client is gone, and waits while the client does not
 * read.
 */
export async function answerStream(response: ServerResponse, model: string, completion: Completion, withUsage: boolean): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  const base = envelope('chat.completion.chunk', model)
  const chunk = (delta: object, finish_reason: string | null = null) => ({ ...base, choices: [{ index: 0, delta, finish_reason }] })
  const send = (data: object) => response.write(`data: ${JSON.stringify(data)}\n\n`)
  send(chunk({ role: 'assistant', content: '' }))
  for (let i = 0; i < completion.maxTokens && !response.destroyed; i += 1) {
    if (!send(chunk({ content: completion.tokens.next().value }))) await drained(response)
    // One token per turn of the event loop, so that each is sent by itself and other requests get their turn.
    await nextTurn()
  }
  send(chunk({}, 'length'))
  if (withUsage) send({ ...base, choices: [], usage: usageOf(completion) })
  response.end('data: [DONE]\n\n')
}

function envelope(object: string, model: string) {
  return { id: `chatcmpl-${randomUUID()}`, object, created: Math.floor(Date.now() / 1000), model }
}

/** The model has no end of text, so an answer has the maximum length. */
function usageOf({ promptTokens, maxTokens }: Completion) {
  return { prompt_tokens: promptTokens, completion_tokens: maxTokens, total_tokens: promptTokens + maxTokens }
}

/** Resolves when the client has read, or is gone. */
function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed) return Promise.resolve()
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}
