import {
  type Attributes,
  type Context,
  context,
  ProxyTracerProvider,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from '@opentelemetry/api'
import { type Kind, queueOf } from './kind.js'
import { parseTraceparent } from './traceparent.js'

/** The name of the tracer. */
const SCOPE = 'runcast'
const KINDS = { server: SpanKind.SERVER, producer: SpanKind.PRODUCER, consumer: SpanKind.CONSUMER } as const

export interface SpanStart {
  /** From a bounded set: no id. */
  readonly name: string
  /** A server span inside a span of the program is an internal one: the program's framework has the server span. */
  readonly kind: keyof typeof KINDS
  /** They contain no user, no input and no token: readers of traces may have fewer rights. */
  readonly attributes: Attributes
  /** The `traceparent` of the parent; null for none. Default: the active span. */
  readonly parent?: string | null | undefined
  /** Headers of a request, which may name the parent if no span of the program is active. */
  readonly headers?: Readonly<Record<string, unknown>>
}

/** A span about a job, by the semantic conventions of messaging. */
export function jobSpan(operation: 'submit' | 'process', job: TracedJob, attributes: Attributes = {}): SpanStart {
  const queue = queueOf(job)
  return {
    name: `${operation} ${queue}`,
    kind: operation === 'submit' ? 'producer' : 'consumer',
    attributes: {
      'messaging.system': SCOPE,
      'messaging.operation.name': operation,
      'messaging.operation.type': operation === 'submit' ? 'send' : 'process',
      'messaging.destination.name': queue,
      'runcast.job.id': job.id,
      'runcast.kind': job.kind.name,
      ...attributes,
    },
  }
}

export interface TracedJob {
  readonly id: string
  readonly kind: Pick<Kind, 'name'>
  readonly solver: string | null
}

/** `error`: a code. An end without one leaves the status unset. */
export interface SpanEnd {
  readonly attributes?: Attributes
  readonly error?: string | undefined
}

/**
 * Whether this process has a tracer provider of OpenTelemetry: that of the program, or of `startTracing`. Without one
 * nothing is traced.
 */
export function isTracing(): boolean {
  const provider = trace.getTracerProvider()
  return !(provider instanceof ProxyTracerProvider) || provider.getDelegateTracer(SCOPE) !== undefined
}

/** A span that has begun. */
export class OpenSpan {
  readonly #span: Span
  readonly #context: Context
  #hasEnded = false

  /** Called by `openSpan`. */
  constructor(span: Span, parent: Context) {
    this.#span = span
    this.#context = trace.setSpan(parent, span)
  }

  /** W3C Trace Context of this span, for its children elsewhere. */
  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.#span.spanContext()
    return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
  }

  /** Calls `act` with this span as the active one, also of what it awaits. */
  within<T>(act: () => T): T {
    return context.with(this.#context, act)
  }

  /** Ends it; further calls do nothing. */
  end({ attributes = {}, error }: SpanEnd): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#span.setAttributes(attributes)
    if (error !== undefined) this.#span.setAttribute('error.type', error).setStatus({ code: SpanStatusCode.ERROR, message: error })
    this.#span.end()
  }
}

/** Begins a span, which the caller ends. Null if nothing is traced. */
export function openSpan({ name, kind, attributes, parent, headers }: SpanStart): OpenSpan | null {
  if (!isTracing()) return null
  // One that has ended may be active all the same, such as that in which the server began to listen.
  const isInside = trace.getActiveSpan()?.isRecording() === true
  const above = contextAbove(parent, isInside ? undefined : headers)
  const asKind = kind === 'server' && isInside ? SpanKind.INTERNAL : KINDS[kind]
  return new OpenSpan(trace.getTracer(SCOPE).startSpan(name, { kind: asKind, attributes }, above), above)
}

/**
 * Runs `act` in a span of its own, and ends it as `endOf` says of its result, or with the code or name of its error.
 * `act` gets the `traceparent` of the span; that of the parent if nothing is traced.
 */
export async function inSpan<T>(
  start: SpanStart,
  act: (traceparent: string | undefined) => Promise<T>,
  endOf: (result: T) => SpanEnd = () => ({}),
): Promise<T> {
  const span = openSpan(start)
  if (!span) return act(start.parent ?? undefined)
  try {
    const result = await span.within(() => act(span.traceparent))
    span.end(endOf(result))
    return result
  } catch (error) {
    span.end({ error: nameOf(error) })
    throw error
  }
}

function contextAbove(parent: SpanStart['parent'], headers: SpanStart['headers']): Context {
  if (parent === null) return ROOT_CONTEXT
  if (parent !== undefined) return trace.setSpanContext(ROOT_CONTEXT, { ...parseTraceparent(parent), isRemote: true })
  return headers ? propagation.extract(ROOT_CONTEXT, headers) : context.active()
}

/** A message may hold anything, so it is left out. */
function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return typeof error
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
