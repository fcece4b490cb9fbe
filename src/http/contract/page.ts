import { createHash } from 'node:crypto'
import { isSchema, type Schema } from '../../protocol/json-schema.js'
import { againOf } from './asyncapi.js'

const STYLE = `:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow:auto;padding:.5rem;border:1px solid #8884}
h2{margin-top:2.5rem}h3{margin:1.5rem 0 .5rem}h4{margin:1rem 0 .25rem}summary{cursor:pointer;padding:.2rem 0}
table{border-collapse:collapse;display:block;overflow:auto}td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0}
.method{display:inline-block;min-width:4.5rem;font-weight:600}.more{opacity:.75}`

/** Content security policy of the page: it runs no script and loads nothing. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'; base-uri 'none'; frame-ancestors 'none'`

interface Operation {
  readonly operationId: string
  readonly summary?: string
  readonly tags: readonly string[]
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly description?: string; readonly schema: Schema }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, Body>> }
  readonly responses: Readonly<Record<string, Answer>>
}
interface Body {
  readonly schema: Schema
  /** One example, or several by name. */
  readonly example?: unknown
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>
}
interface Answer {
  readonly $ref?: string
  readonly description?: string
  readonly content?: Readonly<Record<string, { readonly schema: Schema }>>
}
interface OpenApi {
  readonly info: { readonly title: string; readonly summary: string; readonly description: string }
  readonly tags: readonly { readonly name: string; readonly description: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
  readonly components: { readonly schemas: Schemas; readonly responses: Readonly<Record<string, Answer>> }
}
type Schemas = Readonly<Record<string, Schema>>
interface AsyncApi {
  readonly channels: Readonly<Record<string, { readonly address: string; readonly title: string; readonly description: string }>>
  readonly operations: Readonly<Record<string, { readonly summary: string; readonly channel: Ref; readonly messages: readonly Ref[] }>>
  readonly components: { readonly schemas: Schemas }
  readonly 'x-close-codes': readonly {
    readonly code: number
    readonly name: string
    readonly reconnect: boolean
    readonly retries?: number
    readonly text: string
  }[]
}
interface Ref {
  readonly $ref: string
}

/** Both documents as one page of HTML, for people. */
export function renderPage(openApi: object, asyncApi: object): string {
  const { info, tags, paths, components } = openApi as OpenApi // as `openApiOptions` makes it
  const sockets = asyncApi as AsyncApi // as `asyncApiOf` makes it
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  const groups = tags.map(({ name, description }) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(name))
    if (own.length === 0) return ''
    const rows = own.map(({ path, method, operation }) => operationOf(method, path, operation, components.responses))
    return `<h2 id="${name}">${name}</h2>${prose(description)}${rows.join('')}`
  })
  const schemas = Object.entries({ ...sockets.components.schemas, ...components.schemas })
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(info.title)}: API</title>
<style>${STYLE}</style>
<h1>${escapeHtml(info.title)}</h1><p>${escapeHtml(info.summary)}</p>
<p>For tools: <a href="openapi.json">openapi.json</a>, <a href="openapi.yaml">openapi.yaml</a>, <a href="asyncapi.json">asyncapi.json</a>.</p>
${prose(info.description)}
${groups.join('\n')}
<h2 id="sockets">sockets</h2>
${Object.entries(sockets.channels)
  .map(([name, channel]) => channelOf(name, channel, sockets))
  .join('')}
<h3>Close codes</h3>
${table(['code', 'name', 'connect again', 'text'], closeRows(sockets))}
<h2 id="schemas">schemas</h2>
${schemas.map(([name, schema]) => schemaOf(name, schema)).join('\n')}
</html>
`
}

function operationOf(method: string, path: string, operation: Operation, shared: OpenApi['components']['responses']): string {
  const { operationId, summary = '', parameters = [], requestBody, responses } = operation
  const given = parameters.map(({ name, in: place, description = '', schema }) => [code(name), place, typeOf(schema), inline(description)])
  const bodies = Object.values(requestBody?.content ?? {}).map(({ schema, example, examples = {} }) => {
    const values = example === undefined ? Object.values(examples).map(({ value }) => value) : [example]
    const shown = values.map((value) => `<pre>${escapeHtml(JSON.stringify(value, null, 2))}</pre>`)
    return `<h4>Body</h4>${fieldsOf(schema)}${shown.join('')}`
  })
  const answers = Object.entries(responses).map(([status, answer]) => {
    const { description = '', content = {} } = answer.$ref ? (shared[lastOf(answer.$ref)] ?? {}) : answer
    const types = Object.entries(content).map(([type, { schema }]) => `${code(type)} ${typeOf(schema)}`)
    return [status, inline(description), types.join('<br>')]
  })
  return `<details id="${operationId}"><summary><code><span class="method">${method}</span>${escapeHtml(path)}</code> <span class="more">${escapeHtml(summary)}</span></summary>
${given.length > 0 ? `<h4>Parameters</h4>${table(['name', 'in', 'type', ''], given)}` : ''}${bodies.join('')}
<h4>Answers</h4>${table(['status', '', 'body'], answers)}</details>`
}

function channelOf(name: string, { address, title, description }: AsyncApi['channels'][string], { operations }: AsyncApi): string {
  const own = Object.values(operations).filter(({ channel }) => lastOf(channel.$ref) === name)
  const rows = own.map(({ summary, messages }) => [escapeHtml(summary), messages.map(({ $ref }) => linkTo(lastOf($ref))).join(', ')])
  return `<details id="${name}"><summary><code><span class="method">WS</span>${escapeHtml(address)}</code> <span class="more">${escapeHtml(title)}</span></summary>
${prose(description)}${table(['', 'messages'], rows)}</details>`
}

function closeRows({ 'x-close-codes': codes }: AsyncApi): string[][] {
  return codes.map(({ code: number, name, text, ...rest }) => [String(number), code(name), againOf(rest), escapeHtml(text)])
}

function schemaOf(name: string, schema: Schema): string {
  const { description } = schema
  return `<h3 id="schema-${name}">${name}</h3>${typeof description === 'string' ? prose(description) : ''}${fieldsOf(schema)}`
}

/** The fields of an object; of anything else its type. */
function fieldsOf(schema: Schema): string {
  const { properties, required } = schema
  if (!isSchema(properties)) return `<p>${typeOf(schema)}</p>`
  const isRequired = (name: string) => Array.isArray(required) && required.includes(name)
  const rows = Object.entries(properties).map(([name, field]) => {
    const { description, default: fallback } = isSchema(field) ? field : {}
    const notes = [
      typeof description === 'string' ? inline(description) : '',
      fallback === undefined ? '' : `default ${code(JSON.stringify(fallback))}`,
    ]
    return [code(isRequired(name) ? name : `${name}?`), typeOf(field), notes.filter(Boolean).join('; ')]
  })
  return table(['field', 'type', ''], rows)
}

function typeOf(schema: unknown): string {
  if (!isSchema(schema)) return 'anything'
  const { $ref, const: value, enum: values, anyOf, type, items, format, properties, additionalProperties } = schema
  if (typeof $ref === 'string') return linkTo(lastOf($ref))
  if (value !== undefined) return code(JSON.stringify(value))
  if (Array.isArray(values)) return values.map((one) => code(JSON.stringify(one))).join(', ')
  if (Array.isArray(anyOf)) return anyOf.map(typeOf).join(' or ')
  if (type === 'array') return `array of ${typeOf(items)}`
  if (type === 'object' && isSchema(additionalProperties)) return `map of ${typeOf(additionalProperties)}`
  if (isSchema(properties)) return `object{${Object.keys(properties).map(code).join(', ')}}`
  const limits = ['minimum', 'maximum', 'maxLength'].flatMap((name) => (schema[name] === undefined ? [] : [`${name} ${schema[name]}`]))
  return [String(type ?? 'anything'), ...(typeof format === 'string' ? [format] : []), ...limits].map(escapeHtml).join(', ')
}

function linkTo(name: string): string {
  return `<a href="#schema-${name}">${name}</a>`
}

function lastOf(ref: string): string {
  return ref.split('/').at(-1) ?? ''
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: string) => `<tr>${cells.map((cell) => `<${tag}>${cell}`).join('')}`
  return `<table>${[line(head, 'th'), ...rows.map((row) => line(row, 'td'))].join('')}</table>`
}

/** The little Markdown that descriptions have: paragraphs, `code` and **strong**. */
function prose(text: string): string {
  return text === '' ? '' : `<p>${text.split('\n\n').map(inline).join('</p><p>')}</p>`
}

function inline(text: string): string {
  return escapeHtml(text)
    .replace(/`([^`]+)`/g, '<code>$1</code>')
    .replace(/\*\*([^*]+)\*\*/g, '<strong>$1</strong>')
}

function code(text: string): string {
  return `<code>${escapeHtml(text)}</code>`
}

function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
