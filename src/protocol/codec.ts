import type { TSchema } from 'typebox'
import { Checker } from './checker.js'
import { CLIENT_MESSAGES, type ClientMessage, type ClientMessageType } from './client-messages.js'
import { RuncastError } from './codes.js'
import { NestedTooDeep, parseJson } from './json.js'

/** An invalid message. `reason`: text for the client. `request`: its type, if it could be read. */
export interface Violation {
  readonly type: 'violation'
  readonly request: string | null
  readonly reason: string
}

const checkers = new Map(Object.entries(CLIENT_MESSAGES).map(([type, schema]) => [type, new Checker<TSchema>(schema)]))

/** Decodes a message of one of the accepted types. Never throws: an invalid one is returned as a `Violation`. */
export function decodeClientMessage(
  text: string,
  accepts: readonly ClientMessageType[] = Object.keys(CLIENT_MESSAGES) as ClientMessageType[],
): ClientMessage | Violation {
  const value = parse(text)
  if (value instanceof NestedTooDeep) return violation(null, `The message is ${value.message}.`)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return violation(null, 'A message must be a JSON object.')
  const type = 'type' in value && typeof value.type === 'string' ? value.type.slice(0, 64) : null
  if (type === null) return violation(null, 'A message must have a string field "type".')
  const known = accepts.find((name) => name === type)
  const checker = known && checkers.get(known)
  if (!checker) return violation(type, `Unknown message type ${JSON.stringify(type)}: expected one of ${accepts.join(', ')}.`)
  if (checker.check(value)) return value as ClientMessage // checked by the schema of this type
  const fault = checker.first(value)
  return violation(type, `${fault?.instancePath || 'The message'} ${fault?.message ?? 'is not valid'}.`)
}

/** The value of a JSON text; undefined for another text. */
function parse(text: string): unknown {
  try {
    return parseJson(text)
  } catch (error) {
    if (error instanceof NestedTooDeep) return error
    // NaN and infinities are not JSON.
    if (error instanceof SyntaxError || error instanceof RuncastError) return undefined
    throw error
  }
}

function violation(request: string | null, reason: string): Violation {
  return { type: 'violation', request, reason }
}
