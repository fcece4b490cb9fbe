import { usageError } from './command.js'
import { CommandError, EXIT } from './exit-code.js'
import { plainLine } from './plain-text.js'

/** Options of every command that calls a hub. */
export const HUB_OPTIONS = {
  url: { value: '<url>', about: 'address of a hub; default: RUNCAST_URL, else http://127.0.0.1:8501' },
  token: {
    value: '<token>',
    about: 'token of the user; prefer RUNCAST_TOKEN: other users of the machine can see the arguments of a command',
  },
} as const

/** The address of a hub and the token for it. */
export interface HubAccess {
  /** Without a slash at the end. */
  readonly url: string
  readonly token: string
}

const DEFAULT_URL = 'http://127.0.0.1:8501'

/**
 * The hub that the options or the environment name. Throws `CommandError` if the token is missing or malformed, or the
 * URL is invalid.
 */
export function hubOf(name: string, given: { readonly url?: string; readonly token?: string }): HubAccess {
  const url = given.url ?? (process.env.RUNCAST_URL || DEFAULT_URL)
  const token = given.token ?? process.env.RUNCAST_TOKEN
  if (!isBase(url)) throw usageError(name, '--url (RUNCAST_URL): expected an http:// or https:// URL without user, query and fragment')
  // Other characters cannot be sent in a header, and `fetch` would not explain the error.
  if (!token || !/^[!-~]+$/.test(token)) throw usageError(name, `--token (RUNCAST_TOKEN): expected a token, as "runcast start" prints one`)
  return { url: url.replace(/\/+$/, ''), token }
}

/** Whether paths can be appended to it. */
function isBase(text: string): boolean {
  if (!/^https?:\/\/[^?#]+$/.test(text) || !URL.canParse(text)) return false
  const { username, password } = new URL(text)
  return username === '' && password === ''
}

/** The URL of a socket of the hub. */
export function socketUrl({ url }: HubAccess, path: string): string {
  return `${url.replace(/^http/, 'ws')}${path}`
}

/** An error response of the hub. */
export class HubError extends CommandError {
  readonly code: unknown
  /** The invalid fields, and what is expected there. */
  readonly faults: readonly { readonly path: string; readonly expected: string }[]

  constructor(answer: Record<string, unknown>, request: string) {
    const faults = Array.isArray(answer.detail) ? answer.detail : []
    const detail = faults.map(({ path, expected }) => `${path}: expected ${expected}`).join('; ')
    const line = plainLine([`${answer.error}: ${answer.message}`, detail].join(' ').trimEnd())
    super(`runcast: ${line}${answer.error === 'no_route' ? ` (${request})` : ''}`, EXIT.unknown)
    this.code = answer.error
    this.faults = faults
  }
}

/**
 * Calls the hub and resolves to its answer. Throws `HubError` for an error response, and `CommandError` if the hub
 * cannot be reached, each with one line.
 */
export async function callHub(hub: HubAccess, method: 'GET' | 'POST', path: string, body?: object): Promise<Record<string, unknown>> {
  const headers = { authorization: `Bearer ${hub.token}`, ...(body && { 'content-type': 'application/json' }) }
  const response = await fetch(`${hub.url}${path}`, { method, headers, ...(body && { body: JSON.stringify(body) }) }).catch((error) => {
    throw new CommandError(`runcast: ${hub.url} cannot be reached: ${reasonOf(error)}`, EXIT.unknown)
  })
  const answer: unknown = await response.json().catch(() => null)
  if (!isObject(answer)) throw new CommandError(`runcast: ${hub.url} is not a hub: status ${response.status} without JSON`, EXIT.unknown)
  if (!response.ok) throw new HubError(answer, `${method} ${path}`)
  return answer
}

/** The error of `fetch` only says that it failed; its cause has the reason. */
function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  if (isObject(cause) && typeof cause.code === 'string') return cause.code
  if (cause instanceof Error) return cause.message
  return error instanceof Error ? error.message : String(error)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
