import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

/** One request as the endpoint saw it, by the clock of `performance.now()`. */
export interface Served {
  readonly receivedAt: number
  readonly headers: IncomingHttpHeaders
  // biome-ignore lint/suspicious/noExplicitAny: the tests look at whatever came
  readonly body: any
  /** When each chunk with content was written. */
  readonly wroteAt: number[]
  /** When the client had gone before the answer was whole. */
  leftAt: number | null
}

/** What an endpoint does with a request. */
export type Script = (response: ServerResponse, served: Served) => Promise<void> | void

export interface Endpoint {
  readonly baseUrl: string
  readonly served: Served[]
}

/** A real HTTP server that answers chat completions as a test says, and writes down its own times. */
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

/** Begins a stream, with the chunk that says who speaks. */
export function openStream(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  writeEvent(response, deltaOf({ role: 'assistant', content: '' }))
}

/** Ends it as the interface wants: finish reason, usage, `[DONE]`. */
export function closeStream(
  response: ServerResponse,
  usage?: { prompt_tokens: number; completion_tokens: number },
  reason = 'length',
): void {
  writeEvent(response, deltaOf({}, reason))
  if (usage) writeEvent(response, { ...deltaOf({}), choices: [], usage })
  response.end('data: [DONE]\n\n')
}

/** Answers with one token after `firstMs`, then one each `everyMs`, and notes when each was written. `field` is where the text stands. */
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

/** Refuses with a status and an error of the interface's shape. */
export function refusing(status: number, message: string): Script {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: { message, type: 'x', param: null, code: null } }))
  }
}
