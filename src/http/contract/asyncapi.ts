import type { TSchema } from 'typebox'
import type { Kind, Kinds } from '../../core/kind.js'
import {
  PROCESS_WIRE_LIST,
  PROCESS_WIRE_MESSAGES,
  PROCESS_WIRE_SNAPSHOT,
  PROCESS_WIRE_TELEMETRY,
  PROCESS_WIRE_WORDS,
  pascalCase,
  titleOf,
  wireMessages,
  wireSnapshot,
  wireTelemetry,
  wireWords,
} from '../../core/wire-messages.js'
import { CLIENT_MESSAGES, type ClientMessageType } from '../../protocol/client-messages.js'
import { CODES, type Code } from '../../protocol/codes.js'
import { cancelAccepted, HUB_MESSAGES } from '../../protocol/hub-messages.js'
import { Components } from './components.js'
import type { ContractOptions } from './openapi.js'

/** One socket: what clients send to it, and what it sends. */
interface Socket {
  readonly name: string
  readonly address: string
  readonly title: string
  readonly description: string
  readonly receives: readonly ClientMessageType[]
  readonly sends: readonly TSchema[]
}

const { unsubscribed, ...ANY_SOCKET } = HUB_MESSAGES

const TELEMETRY = {
  log: { type: 'string', enum: ['1'], description: 'also the lines of the log, as `log` messages' },
  log_after: {
    type: 'integer',
    minimum: 0,
    description: 'number of the last line that the client has; 0: all lines; default: the last 200',
  },
  log_epoch: { type: 'string', description: 'the log that `log_after` counts in' },
  series: { type: 'string', enum: ['1'], description: 'also the curves of the metrics, as `series` messages' },
  artifacts: { type: 'string', enum: ['1'], description: 'also the files that it stores, as `artifact` messages' },
  health: { type: 'string', enum: ['1'], description: 'also whether it is stalled or stale, as `health` messages' },
}
const RESUME = {
  after: { type: 'integer', minimum: 0, description: 'position of the last message that the client has; with `epoch`' },
  epoch: { type: 'string', description: 'the history that `after` counts in' },
}

/** The sockets of a hub with these kinds: that of a user, that of any job, and one for each kind in the run dialect. */
function socketsOf({ all }: Kinds): Socket[] {
  const jobSocket = (name: string, address: string, title: string, kinds: readonly Kind[], idField: string): Socket => ({
    name,
    address,
    title,
    description:
      'Opens with one snapshot of the whole state. Entries follow in the order of `seq`, each once. With `after` and `epoch` only what was missed follows.',
    receives: ['ping', 'auth', 'cancel', 'series'],
    sends: [
      ...new Set([
        ...kinds.map(wireSnapshot),
        ...kinds.flatMap((kind) => Object.values(wireMessages(kind))),
        ...kinds.flatMap((kind) => wireTelemetry(kind)),
        ...kinds.map(wireWords),
      ]),
      cancelAccepted(idField, `${pascalCase(name.replace(/Socket$/, ''))}CancelAccepted`),
      ...Object.values(ANY_SOCKET),
    ],
  })
  const own = all.flatMap((kind) => {
    const { name, path, idField } = kind
    if (path === null) return []
    const words = pascalCase(name)
    const socket = `${words.charAt(0).toLowerCase()}${words.slice(1)}Socket`
    return [jobSocket(socket, `/api/v2/ws/${path}/{id}`, `One job of the kind ${name}, in the run dialect`, [kind], idField)]
  })
  const user: Socket = {
    name: 'userSocket',
    address: '/ws',
    title: 'All jobs of a user, in the process dialect',
    description:
      'Opens with one `process_list`. Then come the messages of all its processes, and of every process that begins later, whatever tab, hub or program starts it.',
    receives: ['ping', 'auth', 'subscribe', 'unsubscribe', 'cancel_process', 'series'],
    sends: [
      PROCESS_WIRE_LIST,
      PROCESS_WIRE_SNAPSHOT,
      ...Object.values(PROCESS_WIRE_MESSAGES),
      PROCESS_WIRE_WORDS,
      ...PROCESS_WIRE_TELEMETRY,
      ...all
        .filter(({ snapshot }) => snapshot)
        .flatMap((kind) => [wireSnapshot(kind), ...Object.values(wireMessages(kind)), ...wireTelemetry(kind), wireWords(kind)]),
      cancelAccepted('process_id', 'ProcessCancelAccepted'),
      unsubscribed,
      ...Object.values(ANY_SOCKET),
    ],
  }
  return [user, jobSocket('jobSocket', '/api/jobs/{id}/socket', 'One job of any kind, in the dialect of its kind', all, 'id'), ...own]
}

/** The schemas of all messages, each once. */
export function socketMessages(kinds: Kinds): TSchema[] {
  const all = socketsOf(kinds).flatMap(({ receives, sends }) => [...receives.map((type) => CLIENT_MESSAGES[type]), ...sends])
  return [...new Map(all.map((schema) => [titleOf(schema), schema])).values()]
}

/** AsyncAPI 3 of the sockets, from the schemas of their messages. */
export function asyncApiOf(kinds: Kinds, { publicUrl, hasTokens, cookie }: ContractOptions): object {
  const components = new Components('#/components/schemas/')
  const messages: Record<string, object> = {}
  const refTo = (schema: TSchema) => {
    const name = titleOf(schema)
    messages[name] ??= { name, title: name, contentType: 'application/json', payload: components.refer(schema) }
    return { $ref: `#/components/messages/${name}` }
  }
  const channels: Record<string, object> = {}
  const operations: Record<string, object> = {}
  for (const { name, address, title, description, receives, sends } of socketsOf(kinds)) {
    const received = receives.map((type) => CLIENT_MESSAGES[type])
    const hasId = address.includes('{id}')
    const query = { ...(hasTokens && { token: { type: 'string', description: 'a JWT' } }), ...(hasId && { ...RESUME, ...TELEMETRY }) }
    channels[name] = {
      address,
      title,
      description,
      ...(hasId && { parameters: { id: { description: 'id of the job' } } }),
      messages: Object.fromEntries([...received, ...sends].map((schema) => [titleOf(schema), refTo(schema)])),
      bindings: { ws: { method: 'GET', query: { type: 'object', properties: query }, bindingVersion: '0.1.0' } },
    }
    const operation = (action: 'send' | 'receive', summary: string, schemas: readonly TSchema[]) => ({
      action,
      summary,
      channel: { $ref: `#/channels/${name}` },
      messages: schemas.map((schema) => ({ $ref: `#/channels/${name}/messages/${titleOf(schema)}` })),
    })
    const id = name.charAt(0).toUpperCase() + name.slice(1)
    operations[`receiveOn${id}`] = operation('receive', 'What a client may send', received)
    operations[`sendOn${id}`] = operation('send', 'What the hub sends', sends)
  }
  const securitySchemes = {
    bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
    token: { type: 'httpApiKey', in: 'query', name: 'token', description: 'For browsers, whose sockets send no headers.' },
    ...(cookie !== '' && { cookie: { type: 'httpApiKey', in: 'cookie', name: cookie } }),
  }
  const security = Object.keys(securitySchemes).map((name) => ({ $ref: `#/components/securitySchemes/${name}` }))
  return {
    asyncapi: '3.1.0',
    id: 'urn:runcast:hub',
    info: {
      title: 'runcast',
      version: '2',
      description: `Live progress of long-running jobs. \`openapi.json\` beside this document describes the REST interface.

Messages are JSON objects in text frames. A socket without a token in its address or headers sends \`auth\` first. A client has missed nothing if \
\`(prev ?? seq - 1) <= last < seq\` holds for each message.

A socket is accepted first and closed with its code after, since a browser cannot read a refused handshake:

${closeTable()}`,
      license: { name: 'MIT', url: 'https://spdx.org/licenses/MIT.html' },
      contact: { name: 'runcast contributors' },
      tags: [{ name: 'sockets', description: 'WebSockets of a hub.' }],
    },
    defaultContentType: 'application/json',
    servers: { hub: { ...serverOf(publicUrl), ...(hasTokens && { security }) } },
    channels,
    operations,
    components: { messages, schemas: components.schemas, ...(hasTokens && { securitySchemes }) },
    'x-close-codes': closeCodes(),
  }
}

/** Without a URL the host is whatever serves the document. */
function serverOf(publicUrl: string): object {
  if (!/^https?:/.test(publicUrl)) {
    const host = { default: 'localhost:8501', description: 'host and port of the hub' }
    return { host: '{host}', protocol: 'ws', ...(publicUrl !== '' && { pathname: publicUrl }), variables: { host } }
  }
  const { host, protocol, pathname } = new URL(publicUrl)
  const path = pathname.replace(/\/$/, '')
  return { host, protocol: protocol === 'https:' ? 'wss' : 'ws', ...(path !== '' && { pathname: path }) }
}

function closeCodes(): object[] {
  const codes: [string, Code][] = Object.entries(CODES)
  return codes.flatMap(([name, { close, reconnect, retries, text }]) =>
    close === null ? [] : [{ code: close, name, reconnect, ...(retries !== undefined && { retries }), text }],
  )
}

function closeTable(): string {
  const codes: [string, Code][] = Object.entries(CODES)
  const rows = codes.flatMap(([name, { close, reconnect, retries, text }]) =>
    close === null ? [] : [`| ${close} | \`${name}\` | ${againOf({ reconnect, retries })} | ${text} |`],
  )
  return ['| code | name | connect again | text |', '| --- | --- | --- | --- |', ...rows].join('\n')
}

/** Whether a client may connect again after a close code, for people: `yes`, `no`, or how many more times. */
export function againOf({ reconnect, retries }: { readonly reconnect: boolean; readonly retries?: number | undefined }): string {
  return reconnect ? 'yes' : retries ? `${retries} more` : 'no'
}
