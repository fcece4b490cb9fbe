import type OpenAI from 'openai'
import type { RequestOk } from '../../src/kinds/benchmark/result.js'
import { type Failure, failureOf } from './failure.js'
import type { Timeline } from './measure.js'
import type { OpenAIPackage } from './openai.js'
import type { Secrets } from './secrets.js'
import { chunksOf } from './stream.js'
import type { Target } from './target.js'

/** The content of a request. */
export interface BenchRequest {
  readonly prompt: string
  readonly maxTokens: number
  readonly temperature?: number
  /** For the whole request, to the last chunk. */
  readonly timeoutMs: number
}

/** The outcome of a request. `elapsedMs`: from sending to its end. */
export type Outcome = ({ readonly timeline: Timeline } | { readonly failure: Failure }) & {
  readonly sentAt: number
  readonly endedAt: number
}

type Chunk = OpenAI.Chat.Completions.ChatCompletionChunk
type Delta = OpenAI.Chat.Completions.ChatCompletionChunk.Choice.Delta

/** What a stream has delivered so far. */
interface Received {
  readonly contentAt: number[]
  contentChars: number
  finishReason: RequestOk['finish_reason'] | null
  /** Whether the endpoint has reported the end. */
  isDone: boolean
  usage: Timeline['usage'] | null
}

/**
 * Sends one streaming request and records when each part arrives. Rejects with the signal's reason when it is aborted,
 * also during the stream, which the client library then ends silently. Any other failure is an outcome.
 */
export async function send(
  openai: OpenAIPackage,
  target: Target,
  request: BenchRequest,
  secrets: Secrets,
  signal: AbortSignal,
): Promise<Outcome> {
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
  const received: Received = { contentAt: [], contentChars: 0, finishReason: null, isDone: false, usage: null }
  let hasAnswered = false
  let failure: Failure | null = null
  try {
    const client = clientOf(openai, target, {
      onSend: () => {
        sentAt = performance.now()
      },
      onDone: () => {
        received.isDone = true
      },
    })
    const stream = await client.chat.completions.create(bodyOf(target, request), { signal: stop.signal })
    hasAnswered = true
    for await (const chunk of stream) take(chunk, received)
  } catch (error) {
    failure = failureOf(error, hasAnswered, secrets, openai)
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
    // Some endpoints write zeros if they have not counted.
    ...(usage && usage.completion > 0 && { usage }),
  }
  return { timeline, ...times }
}

/**
 * `onSend` is called right before the request is sent: the library's preparation does not count as the endpoint's time.
 * Nothing is logged. A redirect is not followed: only the providers file decides where requests go.
 */
function clientOf(openai: OpenAIPackage, { baseUrl, key }: Target, { onSend, onDone }: { onSend: () => void; onDone: () => void }): OpenAI {
  return new openai.OpenAI({
    baseURL: baseUrl,
    // The library requires a key; the header is set below.
    apiKey: 'none',
    // A hidden retry would count as latency.
    maxRetries: 0,
    timeout: 3_600_000,
    logLevel: 'off',
    fetch: async (url, init) => {
      const own = { ...init, headers: headersOf(key), redirect: 'manual' as const }
      onSend()
      return chunksOf(await fetch(url, own), onDone)
    },
  })
}

/**
 * All headers that an endpoint gets. The library would add an organisation or any other headers from the environment.
 */
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

/** Records a chunk. A chunk with only the role or only the usage is not content. */
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
  // Only words of the interface; other texts of an endpoint are not repeated.
  if (choice.finish_reason) received.finishReason = FINISH_REASONS.find((reason) => reason === choice.finish_reason) ?? 'other'
}

const FINISH_REASONS = ['stop', 'length', 'content_filter'] as const

/**
 * Characters of content and of reasoning. The interface has no field for reasoning, but two names are in use; an
 * endpoint that writes both repeats the text.
 */
function textOf(delta: Delta | undefined): number {
  const { content, reasoning_content, reasoning }: Record<string, unknown> = { ...delta }
  return charsOf(content) + Math.max(charsOf(reasoning_content), charsOf(reasoning))
}

/** Characters of a text, or of a list of parts that are texts or thoughts. */
function charsOf(content: unknown): number {
  if (typeof content === 'string') return content.length
  if (Array.isArray(content)) return content.reduce<number>((sum, part) => sum + charsOf(part), 0)
  if (typeof content !== 'object' || content === null) return 0
  const { text, thinking }: Record<string, unknown> = { ...content }
  return charsOf(text) + charsOf(thinking)
}

/** The endpoint's own count, if it is valid. */
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

/** A stream that ended without an error but too early, or without content. */
function incompleteOf({ contentAt, finishReason, isDone }: Received): Failure | null {
  if (finishReason === null && !isDone) {
    return {
      code: 'stream_cut',
      error: `The stream ended after ${contentAt.length} chunks with content, without a finish reason or [DONE].`,
    }
  }
  return contentAt.length === 0 ? { code: 'empty', error: 'The answer has no content.' } : null
}
