import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { describeFaults } from '../../../src/protocol/faults.js'

const Limit = Type.Optional(Type.Integer({ minimum: 1 }))

/**
 * The fields of a chat completion request that the local model uses. Other fields of the interface are ignored, since
 * they would change nothing.
 */
const ChatRequest = Type.Object({
  model: Type.String(),
  messages: Type.Array(Type.Object({ role: Type.String(), content: Type.String() }), { minItems: 1 }),
  max_tokens: Limit,
  max_completion_tokens: Limit,
  temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
  seed: Type.Optional(Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })),
  stream: Type.Optional(Type.Boolean()),
  stream_options: Type.Optional(Type.Object({ include_usage: Type.Optional(Type.Boolean()) })),
})
export type ChatRequest = Static<typeof ChatRequest>

const validator = Compile(ChatRequest)

/** Parses the body of a request. Returns a sentence if it is not a valid request. */
export function readChatRequest(text: string): ChatRequest | string {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return 'The body is not JSON.'
  }
  if (validator.Check(body)) return body
  const [fault] = describeFaults(validator.Errors(body))
  return `${fault?.path || 'The body'}: expected ${fault?.expected ?? 'a chat completion request'}.`
}
