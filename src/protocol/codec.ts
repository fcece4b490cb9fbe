import type { TSchema } from 'typebox'
import { Checker } from './checker.js'
import { CLIENT_MESSAGES, type ClientMessage, type ClientMessageType } from './client-messages.js'
import { RuncastError } from './codes.js'
import { NestedTooDeep, parseJson } from './json.js'

/** What came in was no message: `reason` says to the client what was wrong, `request` names the type as far as it could be read. */
export interface Violation {
  readonly type: 'breach'
  readonly request: string | null
  readonly reason: string
}

const checkers = new Map(Object.entries(CLIENT_MESSAGES).map(([type, schema]) => [type, new Checker<TSchema>(schema)]))

/** Reads what a client sent, of the types that its socket takes. Never throws: what is no valid message comes back as a breach. */
export function decodeClientMessage(
  text: string,
  accepts: readonly ClientMessageType[] = Object.keys(CLIENT_MESSAGES) as ClientMessageType[],
): ClientMessage | Violation {
  const value = parse(text)
  if (value instanceof NestedTooDeep) return violation(null, `The message is ${value.message}.`)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return violation(null, 'A message is a JSON object.')
  const type = 'type' in value && typeof value.type === 'string' ? value.type.slice(0, 64) : null
  if (type === null) return violation(null, 'A message has a field "type" with a text.')
  const known = accepts.find((name) => name === type)
  const checker = known && checkers.get(known)
  if (!checker) return violation(type, `There is no message of type ${JSON.stringify(type)}; known are ${accepts.join(', ')}.`)
  if (checker.check(value)) return value as ClientMessage // of the type that was just looked up
  const fault = checker.first(value)
  return violation(type, `${fault?.instancePath || 'The message'} ${fault?.message ?? 'is not valid'}.`)
}

/** Undefined for what is not JSON. */
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
  return { type: 'breach', request, reason }
}
