import { STATUS_CODES } from 'node:http'
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import type { RouteOptions } from 'fastify'
import type { Kinds } from '../../core/kind.js'
import type { CodeName } from '../../protocol/codes.js'
import { ErrorBody, PROBLEM_TYPE, ProblemDetails } from '../../protocol/error-body.js'
import { isSchema, type Schema } from '../../protocol/json-schema.js'
import { ERROR_CODES, errorAnswers, errorNameOf } from './answers.js'
import { Components, DATA } from './components.js'

/** What the document says of a hub beside its routes. */
export interface ContractOptions {
  /** Where clients reach the hub: a URL, or a path; empty for the root of the server that serves the document. */
  readonly publicUrl: string
  /** Name of the cookie that may carry a token; empty for none. */
  readonly cookie: string
  /** Whether users are known by tokens, and not by the login of a server that the hub is mounted in. */
  readonly hasTokens: boolean
  readonly limits: {
    /** Requests of one user, and of one address without a valid token, per second. */
    readonly perUser: number
    readonly perAddress: number
    readonly maxBodyBytes: number
  }
}

/** Errors that every route can have. */
const COMMON: readonly CodeName[] = ['bad_request', 'headers_too_big', 'internal', 'overloaded']
const WITH_IDENTITY: readonly CodeName[] = ['unauthenticated', 'expired', 'forbidden']
const WITH_BODY: readonly CodeName[] = ['too_big', 'unsupported_type', 'request_timeout']

const TAGS: Readonly<Record<string, string>> = {
  jobs: 'Jobs of every kind, each in the dialect of its kind.',
  processes: 'Jobs of every kind, in the process dialect.',
  workers: 'Jobs for workers in any language, over HTTP. For the role `worker`.',
  operations: 'Probes, and for the role `admin` revocations of tokens, and what all users, hubs and workers do.',
}

/** Options of `@fastify/swagger` for the document of a hub with these kinds. */
export function openApiOptions(kinds: Kinds, options: ContractOptions): FastifyDynamicSwaggerOptions {
  const { publicUrl, cookie, hasTokens } = options
  const schemes = {
    bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
    token: { type: 'apiKey', in: 'query', name: 'token', description: 'For clients that cannot set headers.' },
    ...(cookie !== '' && { cookie: { type: 'apiKey', in: 'cookie', name: cookie } }),
  } as const
  const own = kinds.all.flatMap(({ name, path, submission }) =>
    path === null && submission === null ? [] : [[path ?? name, `Jobs of the kind \`${name}\`.`] as const],
  )
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'runcast',
        summary: 'Live progress of long-running jobs.',
        description: description(options),
        version: '2',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      servers: [{ url: publicUrl.replace(/\/$/, '') || '/' }],
      tags: Object.entries({ ...TAGS, ...Object.fromEntries(own) }).map(([name, description]) => ({ name, description })),
      components: { securitySchemes: hasTokens ? schemes : {} },
      security: hasTokens ? Object.keys(schemes).map((scheme) => ({ [scheme]: [] })) : [],
    },
    stripBasePath: false,
    convertConstToEnum: false,
    hideUntagged: true,
    transform: ({ schema, url, route }) => ({ url, schema: schema && !schema.hide ? documented(schema, route) : { hide: true } }),
    transformObject: (document) => ('openapiObject' in document ? withComponents(document.openapiObject) : document.swaggerObject),
  } as FastifyDynamicSwaggerOptions // its types are of OpenAPI 3.0 in parts
}

function description({ limits, hasTokens }: ContractOptions): string {
  const authentication = hasTokens ? 'A JWT as `Authorization: Bearer`, or as `?token=`.' : 'The login of this server.'
  return [
    'Submit long-running jobs and follow them. `asyncapi.json` beside this document describes the WebSockets.',
    `**Authentication.** ${authentication}`,
    `**Errors.** Every error has the body \`ErrorBody\`, or \`ProblemDetails\` (RFC 9457) if \`Accept\` names \`${PROBLEM_TYPE}\`. ` +
      'A known path answers 405 with `Allow` to any other method. An invalid HTTP request (400, 408 or 431) and a body that stalls (408) are always answered with `ErrorBody`, and the connection ends.',
    `**Limits.** A user makes at most ${limits.perUser} requests per second at one hub, ` +
      `an address without a valid token ${limits.perAddress}. The next one is 429 with \`Retry-After\`. ` +
      `A body has at most ${limits.maxBodyBytes} bytes and 64 levels. Quotas of jobs per user are settings of the hub: 429 \`quota\`.`,
    '**Beyond the schemas.** A schema cannot express some rules, such as a field that depends on another one, ' +
      'a number that a double cannot hold, or text with half a surrogate pair. ' +
      'A violation is 422 with the path of the field.',
  ].join('\n\n')
}

/** A route for the document: optional fields are not required, and errors that many routes have are added. */
function documented(schema: NonNullable<RouteOptions['schema']>, { method, config }: RouteOptions): Schema {
  const { body, querystring, headers, params, response = {}, security } = schema
  const own = Object.entries(response as Readonly<Record<string, { readonly [ERROR_CODES]?: readonly CodeName[] }>>)
  const success = own.flatMap(([status, answer]): [string, object][] => {
    if (answer[ERROR_CODES]) return []
    return [[status, 'description' in answer ? answer : { ...answer, 'x-response-description': STATUS_CODES[status] }]]
  })
  const codes = [
    ...COMMON,
    ...own.flatMap(([, answer]) => answer[ERROR_CODES] ?? []),
    ...(security ? [] : WITH_IDENTITY),
    ...(config?.isUnlimited ? [] : (['rate_limited'] as const)),
    ...(body ? WITH_BODY : []),
    ...(body || querystring || headers || method !== 'GET' ? (['invalid'] as const) : []),
  ]
  const parts = Object.entries({ body, querystring, headers: headers && titleCased(headers), params }).filter(([, part]) => part)
  return {
    ...schema,
    ...Object.fromEntries(parts.map(([name, part]) => [name, asRequest(JSON.parse(JSON.stringify(part)))])),
    response: { ...errorAnswers(codes), ...Object.fromEntries(success) },
  }
}

/** Headers by the names that people write: `Last-Event-ID` is `last-event-id` to Node. */
function titleCased(headers: unknown): object {
  const { properties, ...rest } = headers as { readonly properties: object } // an object of texts
  const name = (text: string) => text.replace(/(^|-)[a-z]/g, (letter) => letter.toUpperCase()).replace(/-Id$/, '-ID')
  return { ...rest, properties: Object.fromEntries(Object.entries(properties).map(([header, schema]) => [name(header), schema])) }
}

/** In a pattern, the characters that only text that is not well-formed has. */
const HALF_PAIRS = '\\ud800-\\udfff'

/**
 * A schema of what clients send. What has a default may be left out. It stays in place, without a title: generators of
 * clients take a shared schema for an answer, in which a field with a default is always there. Its patterns do not
 * exclude halves of surrogate pairs, which the expressions of most languages cannot name.
 */
function asRequest(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(asRequest)
  if (!isSchema(value)) return value
  const parts = Object.entries(value).filter(([name, part]) => name !== 'title' || typeof part !== 'string')
  const copies = parts.map(([name, part]) => [name, DATA.includes(name) ? part : asRequest(part)])
  const { pattern, ...others } = Object.fromEntries(copies)
  const kept = typeof pattern === 'string' ? pattern.replace(HALF_PAIRS, '') : pattern
  // Without them, the pattern of a user id excludes nothing.
  const copy = kept === undefined || kept === '^[^]*$' ? others : { ...others, pattern: kept }
  const { required, properties } = value
  if (!Array.isArray(required) || !isSchema(properties)) return copy
  const needed = required.filter((name) => !(isSchema(properties[name]) && 'default' in properties[name]))
  if (needed.length > 0) return { ...copy, required: needed }
  const { required: _required, ...optional } = copy
  return optional
}

/** Moves schemas with a title to `components/schemas`, and error answers to `components/responses`. */
function withComponents(document: object): object {
  const components = new Components('#/components/schemas/')
  // Ours come first, so that no schema of a kind takes their names.
  for (const schema of [ErrorBody, ProblemDetails]) components.refer(schema)
  const responses: Record<string, unknown> = {}
  const { paths = {}, components: given, ...rest } = document as Record<string, Schema>
  addLinks(paths as Paths)
  const moved = components.move(paths, (value, inside) => {
    const error = errorNameOf(value)
    if (error === null) return null
    responses[error] ??= inside(value)
    return { $ref: `#/components/responses/${error}` }
  })
  return { ...rest, paths: moved, components: { ...given, schemas: components.schemas, responses } }
}

type Paths = Readonly<Record<string, Readonly<Record<string, { readonly operationId: string; readonly responses: Answers }>>>>
type Answers = Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema: Schema }>>; links?: Schema }>>

/** Links beside those of submits: the answer with this status names the `id` that the target takes. */
const FURTHER_LINKS: Readonly<Record<string, { readonly status: number; readonly target: string }>> = {
  claimJob: { status: 200, target: 'reportJobEvents' },
  revokeTokens: { status: 202, target: 'undoRevocation' },
}

/** Links answers with the operations that take the id in them: of a submit with all that is about its job. */
function addLinks(paths: Paths): void {
  const operations = Object.entries(paths).flatMap(([path, methods]) => Object.values(methods).map((operation) => ({ path, ...operation })))
  const linksTo = (names: readonly string[], field: string) => {
    const parameters = { id: `$response.body#/${field}` }
    return Object.fromEntries(names.map((operationId) => [operationId, { operationId, parameters }]))
  }
  for (const { operationId, responses } of operations) {
    const further = FURTHER_LINKS[operationId]
    const { [further?.status ?? 202]: answer } = responses
    if (answer && further) answer.links = linksTo([further.target], 'id')
    const { title, properties } = answer?.content?.['application/json']?.schema ?? {}
    const [, noun] = /^(\w+)Accepted$/.exec(String(title)) ?? []
    const base = operations.find(({ operationId }) => operationId === `get${noun}`)?.path
    if (!answer || base === undefined || !isSchema(properties)) continue
    const about = operations.filter(({ path }) => path === base || path.startsWith(`${base}/`))
    answer.links = linksTo(
      about.map(({ operationId }) => operationId),
      Object.keys(properties)[0] ?? '',
    )
  }
}
