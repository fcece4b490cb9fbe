import type { FastifySchema } from 'fastify'
import Type, { type TObject, type TSchema } from 'typebox'
import { pascalCase } from '../../core/wire-messages.js'
import { CODES, type CodeName } from '../../protocol/codes.js'
import { ErrorBody, PROBLEM_TYPE, ProblemDetails } from '../../protocol/error-body.js'
import { HUB_MESSAGES, STREAM_EVENTS } from '../../protocol/hub-messages.js'
import { isSchema, type Schema } from '../../protocol/json-schema.js'

/** An answer, as `@fastify/swagger` reads it. */
interface Answer {
  readonly description: string
  readonly content: Readonly<Record<string, { readonly schema: TSchema }>>
  readonly headers?: Readonly<Record<string, TSchema>>
}

const Location = Type.String({ description: 'path of the job' })
const RetryAfter = Type.Integer({ minimum: 1, description: 'seconds after which the same request may succeed' })
const Challenge = Type.Literal('Bearer')
const RequestId = Type.String({ description: 'id of the request in the log of the hub' })

/** Headers of error answers by status, beside X-Request-Id. */
const ERROR_HEADERS: Readonly<Record<number, Readonly<Record<string, TSchema>>>> = {
  401: { 'WWW-Authenticate': Challenge },
  429: { 'Retry-After': RetryAfter },
  503: { 'Retry-After': RetryAfter },
}

/** The codes of an error answer. */
export const ERROR_CODES = 'x-error-codes'

/** The answers of a route: `success` by status, and an error answer for each status of these codes. */
export function answers(success: Readonly<Record<number, TSchema | Answer>>, ...codes: readonly CodeName[]): FastifySchema['response'] {
  return { ...success, ...errorAnswers(codes) }
}

/** An answer for each status of these codes, in the order of the table of codes. */
export function errorAnswers(codes: readonly CodeName[]): Readonly<Record<number, Answer>> {
  const all = (Object.keys(CODES) as CodeName[]).filter((name): boolean => codes.includes(name))
  const statuses = [...new Set(all.map((name) => CODES[name].http))]
  return Object.fromEntries(
    statuses.map((status) => [
      status,
      errorAnswer(
        status,
        all.filter((name) => CODES[name].http === status),
      ),
    ]),
  )
}

function errorAnswer(status: number, names: readonly CodeName[]): Answer & { readonly [ERROR_CODES]: readonly CodeName[] } {
  const headers = { 'X-Request-Id': RequestId, ...ERROR_HEADERS[status] }
  return {
    [ERROR_CODES]: names,
    description: names.map((name) => `\`${name}\`: ${CODES[name].text}`).join(' '),
    content: { 'application/json': { schema: ErrorBody }, [PROBLEM_TYPE]: { schema: ProblemDetails } },
    headers,
  }
}

/**
 * Names the shared component of an error answer by its codes, which its description begins with. Null for another
 * answer.
 */
export function errorNameOf(answer: Schema): string | null {
  if (!isSchema(answer.content) || !(PROBLEM_TYPE in answer.content)) return null
  const names = [...String(answer.description).matchAll(/`([a-z_]+)`: /g)].map(([, name = '']) => name)
  return names.map(pascalCase).join('Or')
}

/** An answer that is JSON or, if `Accept` asks for it, the stream of a job. */
export function jsonOrStream(description: string, json: TObject, stream: TSchema): Answer {
  return { description, content: { 'application/json': { schema: json }, 'text/event-stream': { schema: stream } } }
}

/** An answer that is JSON or, if `Accept` asks for it, plain text. */
export function jsonOrText(description: string, json: TObject): Answer {
  return { description, content: { 'application/json': { schema: json }, 'text/plain': { schema: Type.String() } } }
}

/** The answers of a route that enqueues. */
export function submitAnswers(schema: TObject, stream: TSchema, ...codes: readonly CodeName[]): Readonly<Record<number, unknown>> {
  return { 200: submitStream(stream), 202: accepted(schema), ...errorAnswers(['id_taken', 'other_input', 'quota', 'restart', ...codes]) }
}

/** The answer to a submit with `claim`. */
export function ownedAnswer(schema: TObject): Readonly<Record<number, Answer>> {
  const description = 'With `claim: true`: the job is stored, started and leased to its owner, who reports on it as a worker does.'
  return { 201: { description, content: { 'application/json': { schema } }, headers: { Location } } }
}

function accepted(schema: TObject): Answer {
  return {
    description: 'The job is stored and will run. The same request again has the same answer and enqueues nothing.',
    content: { 'application/json': { schema } },
    headers: { Location },
  }
}

function submitStream(stream: TSchema): Answer {
  return {
    description: 'With `Accept: text/event-stream`: the job is stored, and this is its stream up to its final message.',
    content: { 'text/event-stream': { schema: stream } },
    headers: { Location },
  }
}

/** The stream of a job, in which the data of events without a name is one of these messages. */
export function eventStream(messages: readonly TSchema[]): TSchema {
  return Type.String({
    description: 'Server-sent events. The data of each is JSON; events without a name are messages of the job.',
    contentMediaType: 'text/event-stream',
    contentSchema: Type.Union([...messages, HUB_MESSAGES.token_expiring, HUB_MESSAGES.drain, ...Object.values(STREAM_EVENTS)]),
  })
}
