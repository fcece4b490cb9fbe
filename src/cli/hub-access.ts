import { callHub as call, type HubAccess, hubUrl } from '../client/hub-access.js'
import { RuncastError } from '../protocol/codes.js'
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

const DEFAULT_URL = 'http://127.0.0.1:8501'

/**
 * The hub that the options or the environment name. Throws `CommandError` if the token is missing or malformed, or the
 * URL is invalid.
 */
export function hubOf(name: string, given: { readonly url?: string; readonly token?: string }): HubAccess {
  const token = given.token ?? process.env.RUNCAST_TOKEN
  const url = baseOf(name, given.url ?? (process.env.RUNCAST_URL || DEFAULT_URL))
  // Other characters cannot be sent in a header, and `fetch` would not explain the error.
  if (!token || !/^[!-~]+$/.test(token)) throw usageError(name, `--token (RUNCAST_TOKEN): expected a token, as "runcast start" prints one`)
  return { url, token }
}

function baseOf(name: string, text: string): string {
  try {
    return hubUrl(text)
  } catch {
    throw usageError(name, '--url (RUNCAST_URL): expected an http:// or https:// URL without user, query and fragment')
  }
}

/**
 * Calls the hub and resolves to its answer. Throws a `CommandError` of one line, with the `RuncastError` as its cause,
 * for an error response, and if the hub cannot be reached.
 */
export async function callHub(
  hub: HubAccess,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
): Promise<Record<string, unknown>> {
  try {
    return (await call(hub, method, path, body && { body })) as Record<string, unknown> // every answer is an object
  } catch (error) {
    throw error instanceof RuncastError ? hubError(error) : error
  }
}

/** The error of a command for one of a hub. */
export function hubError(error: RuncastError): CommandError {
  const { code, message, issues, cause } = error
  const faults = issues.map(({ path, expected }) => `${path}: expected ${expected}`).join('; ')
  // An error that the hub itself did not send has a cause.
  const line = cause === undefined ? `${code}: ${message} ${faults}` : message
  return new CommandError(`runcast: ${plainLine(line.trimEnd())}`, EXIT.unknown, error)
}
