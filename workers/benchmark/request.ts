import OpenAI from 'openai'
import type { RequestOk } from '../../src/protocol/benchmark-result.js'
import { type Failure, failureOf } from './failure.js'
import type { Timeline } from './measure.js'
import type { Secrets } from './secrets.js'
import type { Target } from './target.js'

/** What a request asks for. */
export interface BenchRequest {
  readonly prompt: string
  readonly maxTokens: number
  readonly temperature?: number
  /** For the whole of it, to the last chunk. */
  readonly timeoutMs: number
}

/** How a request went; `elapsedMs` from sending to its end. */
export type Outcome = ({ readonly timeline: Timeline } | { readonly failure: Failure }) & {
  readonly sentAt: number
  readonly endedAt: number
}

type Chunk = OpenAI.Chat.Completions.ChatCompletionChunk
type Delta = OpenAI.Chat.Completions.ChatCompletionChunk.Choice.Delta

/** What a stream has brought so far. */
interface Received {
  readonly contentAt: number[]
  contentChars: number
  finishReason: RequestOk['finish_reason'] | null
  usage: Timeline['usage'] | null
}

/**
 * Sends one streaming request and notes when what arrives. Rejects with the signal's reason when it is aborted, also in the middle of the stream, which the client
 * library ends without a word; every other failure is an outcome.
 */
export async function send(target: Target, request: BenchRequest, secrets: Secrets, signal: AbortSignal): Promise<Outcome> {
  signal.throwIfAborted()
  const stop = new AbortController()
  const abort = () => stop.abort()
  signal.addEventListener('abort', abort, { once: true })
  let isTimedOut = false
  const timer = setTimeout(() => {
    isTimedOut = true
    abort()
  }, request.timeoutMs)
  let sentAt = performance.now()
  const received: Received = { contentAt: [], contentChars: 0, finishReason: null, usage: null }
  let hasAnswered = false
  let failure: Failure | null = null
  try {
    const client = clientOf(target, () => {
      sentAt = performance.now()
    })
    const stream = await client.chat.completions.create(bodyOf(target, request), { signal: stop.signal })
    hasAnswered = true
    for await (const chunk of stream) take(chunk, received)
  } catch (error) {
    failure = failureOf(error, hasAnswered, secrets)
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', abort)
  }
  const times = { sentAt, endedAt: performance.now() }
  signal.throwIfAborted()
  if (isTimedOut) failure = timeoutOf(request.timeoutMs, received)
  failure ??= incompleteOf(received)
  if (failure) return { failure, ...times }
  const { contentAt, contentChars, usage, finishReason } = received
  const timeline = {
    sentAt,
    contentAt,
    contentChars,
    promptChars: request.prompt.length,
    finishReason: finishReason ?? 'other',
    ...(usage && { usage }),
  }
  return { timeline, ...times }
}

/** `onSend` is called right before the request goes out: what the library prepares is not the endpoint's time. Nothing is logged. */
function clientOf({ baseUrl, key }: Target, onSend: () => void): OpenAI {
  return new OpenAI({
    baseURL: baseUrl,
    // The library wants one; the header is set below.
    apiKey: 'none',
    // A hidden second try would count as latency.
    maxRetries: 0,
    timeout: 3_600_000,
    logLevel: 'off',
    fetch: (url, init) => {
      const own = { ...init, headers: headersOf(key) }
      onSend()
      return fetch(url, own)
    },
  })
}

/** All headers that an endpoint gets: the library would add what it finds in the environment, an organisation or headers of any name. */
function headersOf(key: string | null): Record<string, string> {
  const common = { accept: 'text/event-stream', 'content-type': 'application/json', 'user-agent': 'runcast' }
  return key === null ? common : { ...common, authorization: `Bearer ${key}` }
}

function bodyOf({ name, maxTokensField }: Target, { prompt, maxTokens, temperature }: BenchRequest) {
  return {
    model: name,
    messages: [{ role: 'user' as const, content: prompt }],
    stream: true as const,
    stream_options: { include_usage: true },
    [maxTokensField]: maxTokens,
    ...(temperature !== undefined && { temperature }),
  }
}

/** Notes a chunk. One that only names the role, or only brings the usage, is no content. */
function take(chunk: Chunk, received: Received): void {
  const at = performance.now()
  const usage = usageOf(chunk)
  if (usage) received.usage = usage
  const choice = chunk.choices?.[0]
  if (!choice) return
  const text = textOf(choice.delta)
  if (text > 0) {
    received.contentAt.push(at)
    received.contentChars += text
  }
  // Only words of the interface: what else an endpoint puts there is not repeated.
  if (choice.finish_reason) received.finishReason = FINISH_REASONS.find((reason) => reason === choice.finish_reason) ?? 'other'
}

const FINISH_REASONS = ['stop', 'length', 'content_filter'] as const

/** Characters of content and of reasoning, which has no field in the interface but two names in the field. */
function textOf(delta: Delta | undefined): number {
  const { content, reasoning_content, reasoning }: Record<string, unknown> = { ...delta }
  return [content, reasoning_content, reasoning].reduce<number>((sum, part) => sum + (typeof part === 'string' ? part.length : 0), 0)
}

/** The endpoint's own count, if it is one. */
function usageOf({ usage }: Chunk): Timeline['usage'] | null {
  if (!usage) return null
  const { prompt_tokens: prompt, completion_tokens: completion } = usage
  const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) >= 0
  return isCount(prompt) && isCount(completion) ? { prompt, completion } : null
}

function timeoutOf(timeoutMs: number, { contentAt }: Received): Failure {
  const seen = contentAt.length === 0 ? 'Not a single token came' : `The answer was not finished (${contentAt.length} chunks came)`
  return { code: 'timeout', error: `${seen} within ${timeoutMs / 1000} s.` }
}

/** A stream that ended without an error and yet too early, or with nothing in it. */
function incompleteOf({ contentAt, finishReason, usage }: Received): Failure | null {
  if (finishReason === null && usage === null) {
    return { code: 'stream_cut', error: `The stream ended after ${contentAt.length} chunks with content, without a finish reason.` }
  }
  return contentAt.length === 0 ? { code: 'empty', error: 'The answer has no content.' } : null
}
