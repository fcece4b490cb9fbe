import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

/** A request as the endpoint received it. Times by `performance.now()`. */
export interface Served {
  readonly receivedAt: number
  readonly headers: IncomingHttpHeaders
  // biome-ignore lint/suspicious/noExplicitAny: tests inspect arbitrary requests
  readonly body: any
  /** When each chunk with content was written. */
  readonly wroteAt: number[]
  /** When the client closed the connection before the end of the answer. */
  leftAt: number | null
}

/** How an endpoint answers a request. */
export type Script = (response: ServerResponse, served: Served) => Promise<void> | void

export interface Endpoint {
  readonly baseUrl: string
  readonly served: Served[]
}

/** A real HTTP server of chat completions, with scripted answers, that records its own times. */
export async function startEndpoint(t: Test, script: Script): Promise<Endpoint> {
  const served: Served[] = []
  const server = createServer(async (request, response) => {
    const receivedAt = performance.now()
    const parts: Buffer[] = []
    for await (const part of request as AsyncIterable<Buffer>) parts.push(part)
    const one: Served = {
      receivedAt,
      headers: request.headers,
      body: JSON.parse(Buffer.concat(parts).toString()),
      wroteAt: [],
      leftAt: null,
    }
    served.push(one)
    response.on('close', () => {
      if (!response.writableEnded) one.leftAt = performance.now()
    })
    await script(response, one)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    server.closeAllConnections()
    server.close()
    await once(server, 'close')
  })
  const { port } = server.address() as AddressInfo
  return { baseUrl: `http://127.0.0.1:${port}/v1`, served }
}

/** Writes one event of the stream. */
export function writeEvent(response: ServerResponse, data: unknown): void {
  response.write(`data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`)
}

export function deltaOf(delta: object, finish_reason: string | null = null): object {
  return { id: 'x', object: 'chat.completion.chunk', created: 0, model: 'm', choices: [{ index: 0, delta, finish_reason }] }
}

/** Starts a stream with the role chunk. */
export function openStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  writeEvent(response, deltaOf({ role: 'assistant', content: '' }))
}

/** Ends a stream: finish reason, usage, `[DONE]`. */
export function closeStream(
  response: ServerResponse,
  usage?: { prompt_tokens: number; completion_tokens: number },
  reason = 'length',
): void {
  writeEvent(response, deltaOf({}, reason))
  if (usage) writeEvent(response, { ...deltaOf({}), choices: [], usage })
  response.end('data: [DONE]\n\n')
}

/** Sends one token after `firstMs`, then one every `everyMs`, and records the times. `field`: the field of the text. */
export function steady(options: { tokens: number; firstMs: number; everyMs: number; usage?: boolean; field?: string }): Script {
  const { tokens, firstMs, everyMs, usage = true, field = 'content' } = options
  return async (response, served) => {
    openStream(response)
    for (let i = 0; i < tokens && !response.destroyed; i += 1) {
      await sleep(i === 0 ? firstMs : everyMs)
      served.wroteAt.push(performance.now())
      writeEvent(response, deltaOf({ [field]: 'word' }))
    }
    closeStream(response, usage ? { prompt_tokens: 7, completion_tokens: tokens } : undefined)
  }
}

/** Answers with a status and an error in the format of the API. */
export function refusing(status: number, message: string): Script {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: { message, type: 'x', param: null, code: null } }))
  }
}
