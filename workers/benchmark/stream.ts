import { EventSourceParserStream } from 'eventsource-parser/stream'

/**
 * An error response of an endpoint, instead of a stream or within it. `words` are the endpoint's own and still contain
 * secrets.
 */
export class AnswerFault extends Error {
  readonly code: 'bad_answer' | 'stream_error'
  readonly words: string

  constructor(code: 'bad_answer' | 'stream_error', says: string, words: string) {
    super(says)
    this.name = 'AnswerFault'
    this.code = code
    this.words = words
  }
}

const DONE = '[DONE]'
/** Maximum characters that are kept of a text that is not a stream. */
const KEPT_CHARS = 10_000

/**
 * Filters a streamed response so that its body contains only chunk events, up to `[DONE]`. Other responses are returned
 * unchanged. Keep-alive comments and events without data are dropped (HTML standard, 9.2.6), and the connection is
 * released after `[DONE]`. The body fails with an `AnswerFault` if the endpoint reports an error or does not send a
 * stream. `onDone` is called at `[DONE]`. Throws an `AnswerFault` for a redirect.
 */
export function chunksOf(response: Response, onDone: () => void): Response {
  const { status, headers, body } = response
  if (status >= 300 && status < 400) {
    const says = `The endpoint redirects (${status}), which is not followed: set base_url to the final address`
    throw new AnswerFault('bad_answer', says, headers.get('location') ?? '')
  }
  if (!response.ok) return response
  const type = headers.get('content-type')?.split(';', 1)[0]?.trim() || 'no content type'
  if (body === null) throw new AnswerFault('bad_answer', `The endpoint answered ${status} without a stream`, '')
  const seen = { isStream: false, text: '' }
  const watched = new TransformStream<string, string>({
    transform(text, controller) {
      if (!seen.isStream) seen.text = (seen.text + text).slice(0, KEPT_CHARS)
      controller.enqueue(text)
    },
  })
  const chunks = new TransformStream<{ readonly event?: string | undefined; readonly data: string }, string>({
    transform({ event, data }, controller) {
      seen.isStream = true
      const text = data.trim()
      // Some endpoints write more after it.
      if (text.startsWith(DONE)) {
        onDone()
        controller.enqueue(`data: ${DONE}\n\n`)
        return controller.terminate()
      }
      if (text === '' || text === 'null' || text.startsWith(':')) return
      const chunk = parse(text)
      const error = event === 'error' ? (errorIn(chunk) ?? text) : errorIn(chunk)
      if (error !== null) throw new AnswerFault('stream_error', 'The endpoint reported an error in the stream', error)
      if (chunk === undefined) throw new AnswerFault('bad_answer', 'The endpoint sent a chunk that cannot be read', text)
      controller.enqueue(`data: ${JSON.stringify(chunk)}\n\n`)
    },
    flush() {
      if (!seen.isStream) throw noStream(type, seen.text.trim())
    },
  })
  const stream = body
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(watched)
    .pipeThrough(new EventSourceParserStream())
    .pipeThrough(chunks)
  return new Response(stream.pipeThrough(new TextEncoderStream()), { status, headers })
}

function noStream(type: string, text: string): AnswerFault {
  const error = errorIn(parse(text))
  if (error !== null) return new AnswerFault('stream_error', `The endpoint reported an error instead of a stream (${type})`, error)
  return new AnswerFault('bad_answer', `The endpoint sent no stream (${type})`, text)
}

/** The text of an error of the interface (`{"error": {"message": …}}`) or of a similar form; null for anything else. */
function errorIn(value: unknown): string | null {
  const { error, object, message } = isRecord(value) ? value : {}
  if (object === 'error') return wordsOf(message ?? value)
  return error === undefined || error === null ? null : wordsOf(isRecord(error) ? (error.message ?? error) : error)
}

function wordsOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Undefined if the text is not JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
