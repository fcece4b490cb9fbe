import { Compile, type Validator } from 'typebox/compile'
import { CLIENT_MESSAGES, type ClientMessage, type ClientMessageType } from './client-messages.js'

/** What came in was no message: `reason` says to the client what was wrong, `request` names the type as far as it could be read. */
export interface Breach {
  readonly type: 'breach'
  readonly request: string | null
  readonly reason: string
}

const validators = new Map<string, Validator>(Object.entries(CLIENT_MESSAGES).map(([type, schema]) => [type, Compile(schema)]))

/** Reads what a client sent, of the types that its socket takes. Never throws: what is no valid message comes back as a breach. */
export function decodeClientMessage(
  text: string,
  accepts: readonly ClientMessageType[] = Object.keys(CLIENT_MESSAGES) as ClientMessageType[],
): ClientMessage | Breach {
  const value = parse(text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return breach(null, 'A message is a JSON object.')
  const type = 'type' in value && typeof value.type === 'string' ? value.type.slice(0, 64) : null
  if (type === null) return breach(null, 'A message has a field "type" with a text.')
  const known = accepts.find((name) => name === type)
  const validator = known && validators.get(known)
  if (!validator) return breach(type, `There is no message of type ${JSON.stringify(type)}; known are ${accepts.join(', ')}.`)
  if (validator.Check(value)) return value as ClientMessage
  const [fault] = validator.Errors(value)
  return breach(type, `${fault?.instancePath || 'The message'} ${fault?.message ?? 'is not valid'}.`)
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function breach(request: string | null, reason: string): Breach {
  return { type: 'breach', request, reason }
}
