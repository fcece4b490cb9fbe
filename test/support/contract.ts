import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { Compile, type Validator } from 'typebox/schema'
import type { Kinds } from '../../src/core/kind.js'
import { asyncApiOf } from '../../src/http/contract/asyncapi.js'
import { isSchema, type Schema, schemasOf } from '../../src/protocol/json-schema.js'

interface Answer {
  readonly $ref?: string
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>
}
/** One example, or several by name. */
interface Examples {
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>
}
export interface Operation {
  readonly operationId: string
  readonly requestBody?: { readonly content: { readonly 'application/json'?: Examples } }
  readonly responses: Readonly<Record<string, Answer>>
}
interface Components {
  readonly schemas: Readonly<Record<string, Schema>>
  readonly responses?: Readonly<Record<string, Answer>>
}
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: Components
}
interface AsyncApi {
  readonly channels: Readonly<Record<string, { readonly address: string }>>
  readonly operations: Readonly<Record<string, { readonly action: string; readonly channel: Ref; readonly messages: readonly Ref[] }>>
  readonly components: Components & { readonly messages: Readonly<Record<string, { readonly payload: Ref }>> }
}
interface Ref {
  readonly $ref: string
}

/** By kinds, since to generate the documents takes longer than most requests; the other by the origin of the hub. */
const contracts = new Map<string, Contract>()
const ofOrigin = new Map<string, () => Contract>()

/**
 * Checks each answer of a documented route, each error, and each message that clients of tests get over sockets and
 * streams, against the documents of a hub: status, content type, body. A field that is not in a document is a fault,
 * too. A fault is thrown out of the event loop, so that the running test fails. Returns a function for the address of
 * the hub.
 */
export function checkContract(app: FastifyInstance, kinds: Kinds): (origin: string) => void {
  // DOCS=off
  if (!app.hasDecorator('swagger')) return () => {}
  const contract = () => {
    const key = kinds.names.join(' ')
    let known = contracts.get(key)
    if (!known) {
      const limits = { perUser: 1, perAddress: 1, maxBodyBytes: 1 }
      const asyncApi = asyncApiOf(kinds, { publicUrl: '', cookie: '', hasTokens: true, limits })
      known = new Contract(app.swagger(), asyncApi)
      contracts.set(key, known)
    }
    return known
  }
  app.server.prependListener('request', (request: IncomingMessage, response: ServerResponse) => {
    const written = watch(response)
    const { method = '', url = '' } = request
    response.once('finish', () => contract().checkAnswer({ method, url, status: response.statusCode, ...written() }))
  })
  return (origin) => ofOrigin.set(origin, contract)
}

/** Checks a message that came over the socket or stream at a URL; of a hub that is not checked, nothing. */
export function checkMessage(url: string, message: unknown): void {
  if (ofOrigin.size === 0) return
  const { host, pathname } = new URL(url)
  ofOrigin.get(host)?.().checkMessage(pathname, message)
}

/** The content type and the body that a response writes; of a stream no body. */
function watch(response: ServerResponse): () => { type: string; body: string } {
  const chunks: Buffer[] = []
  // What is handed to `writeHead` alone is no header that can be asked for later.
  let given: unknown
  const typeOf = () => String(response.getHeader('content-type') ?? (isSchema(given) ? given['content-type'] : undefined) ?? '')
  for (const name of ['writeHead', 'write', 'end'] as const) {
    const method = response[name].bind(response) as (...args: unknown[]) => never // of any overload
    const watched = (...args: unknown[]) => {
      const [chunk] = args
      if (name === 'writeHead') given = args.at(-1)
      else if ((typeof chunk === 'string' || chunk instanceof Uint8Array) && !typeOf().startsWith('text/event-stream'))
        chunks.push(Buffer.from(chunk as string)) // or bytes
      return method(...args)
    }
    Object.assign(response, { [name]: watched })
  }
  return () => ({ type: typeOf(), body: Buffer.concat(chunks).toString() })
}

/** Both documents of a hub, as a check. */
export class Contract {
  readonly #openApi: OpenApi
  readonly #asyncApi: AsyncApi
  readonly #operations: readonly (readonly [pattern: RegExp, methods: Readonly<Record<string, Operation>>])[]
  readonly #sockets: readonly (readonly [pattern: RegExp, name: string])[]
  readonly #validators = new Map<string, Validator>()
  readonly #messages = new Map<string, readonly Schema[]>()

  constructor(openApi: object, asyncApi: object) {
    this.#openApi = closed(openApi) as OpenApi // as `openApiOptions` makes it
    this.#asyncApi = closed(asyncApi) as AsyncApi // as `asyncApiOf` makes it
    this.#operations = Object.entries(this.#openApi.paths).map(([path, methods]) => [patternOf(path), methods])
    this.#sockets = Object.entries(this.#asyncApi.channels).map(([name, { address }]) => [patternOf(address), name])
  }

  /** Throws what is wrong with an answer. */
  checkAnswer({
    method,
    url,
    status,
    type: given,
    body,
  }: {
    method: string
    url: string
    status: number
    type: string
    body: string
  }): void {
    const [type = ''] = given.split(';', 1)
    const path = url.split('?', 1)[0] ?? ''
    const name = `${method} ${path}: ${status} ${type}`
    const operation = this.#operationAt(method, path)
    if (!operation) {
      const schema = type === 'application/problem+json' ? 'ProblemDetails' : 'ErrorBody'
      if (status >= 400 && method !== 'HEAD') this.#check(name, { $ref: `#/components/schemas/${schema}` }, body, schema)
      return
    }
    const { [status]: own } = operation.responses
    const answer = own?.$ref === undefined ? own : this.#openApi.components.responses?.[lastOf(own.$ref)]
    if (!answer) throw new Error(`${name}: the document has no such status`)
    if (method === 'HEAD' || !answer.content) return
    const media = answer.content[type]
    if (!media) throw new Error(`${name}: the document has ${Object.keys(answer.content).join(', ')}`)
    if (type.endsWith('json')) this.#check(name, media.schema, body, `${operation.operationId} ${status} ${type}`)
  }

  /** Throws what is wrong with a message of the socket or stream at a path. */
  checkMessage(path: string, message: unknown): void {
    const { type } = isSchema(message) ? message : {}
    const known = this.#messagesAt(path)
    if (!known) return
    const likely = known.filter(
      (schema) => isSchema(schema.properties) && isSchema(schema.properties.type) && schema.properties.type.const === type,
    )
    if (likely.length === 0) throw new Error(`${path}: the document has no message of type ${type}`)
    const texts = likely.map((schema) => this.#faults(`message ${schema.title}`, schema, message, this.#asyncApi.components))
    if (texts.every((text) => text !== null)) throw new Error(`${path}: ${texts.join('\n')}\n${JSON.stringify(message)}`)
  }

  #messagesAt(path: string): readonly Schema[] | null {
    const socket = this.#sockets.find(([pattern]) => pattern.test(path))
    const stream = socket ? undefined : this.#streamAt(path)
    const key = socket?.[1] ?? stream?.[0]
    if (key === undefined) return null
    let schemas = this.#messages.get(key)
    if (!schemas) {
      schemas = socket ? this.#sentOn(socket[1]) : schemasOf(stream?.[1].anyOf).flatMap((schema) => this.#alternatives(schema))
      this.#messages.set(key, schemas)
    }
    return schemas
  }

  #sentOn(channel: string): Schema[] {
    const { operations, components } = this.#asyncApi
    const sent = Object.values(operations).filter((operation) => operation.action === 'send' && lastOf(operation.channel.$ref) === channel)
    return sent.flatMap(({ messages }) =>
      messages.flatMap(({ $ref }) => this.#alternatives(components.messages[lastOf($ref)]?.payload as Schema | undefined)),
    )
  }

  #streamAt(path: string): readonly [string, Schema] | undefined {
    for (const method of ['GET', 'POST']) {
      const operation = this.#operationAt(method, path)
      const { schema } = operation?.responses[200]?.content?.['text/event-stream'] ?? {}
      if (operation && isSchema(schema?.contentSchema)) return [operation.operationId, schema.contentSchema]
    }
    return undefined
  }

  /** The objects that a schema can be. */
  #alternatives(schema: Schema | undefined): Schema[] {
    if (!schema) return []
    if (typeof schema.$ref === 'string') {
      const name = lastOf(schema.$ref)
      return this.#alternatives(this.#asyncApi.components.schemas[name] ?? this.#openApi.components.schemas[name])
    }
    return Array.isArray(schema.anyOf) ? schemasOf(schema.anyOf).flatMap((member) => this.#alternatives(member)) : [schema]
  }

  #operationAt(method: string, path: string): Operation | undefined {
    const found = this.#operations.filter(([pattern]) => pattern.test(path))
    return found.map(([, methods]) => methods[method === 'HEAD' ? 'get' : method.toLowerCase()]).find(Boolean)
  }

  #check(name: string, schema: Schema, body: string, key: string): void {
    const text = this.#faults(key, schema, JSON.parse(body), this.#openApi.components)
    if (text !== null) throw new Error(`${name}: ${text}\n${body.slice(0, 2000)}`)
  }

  #faults(key: string, schema: Schema, value: unknown, components: Components): string | null {
    let validator = this.#validators.get(key)
    if (!validator) {
      validator = Compile({ ...schema, components })
      this.#validators.set(key, validator)
    }
    if (validator.Check(value)) return null
    const [, errors] = validator.Errors(value)
    return errors.map(({ instancePath, message, params }) => `${instancePath} ${message} ${JSON.stringify(params)}`).join('\n')
  }
}

function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/\{\w+\}/g, '[^/]+')}$`)
}

function lastOf(ref: string): string {
  return ref.split('/').at(-1) ?? ''
}

/** A copy in which no object has fields beside those that are documented. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed)
  if (!isSchema(value)) return value
  const copy = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, closed(part)]))
  const isOpen = isSchema(value.properties) && value.type === 'object' && value.additionalProperties === undefined
  return isOpen ? { ...copy, additionalProperties: false } : copy
}
