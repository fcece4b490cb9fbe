import { deepStrictEqual as deepEqual, ok } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { CLIENT_MESSAGES } from '../../src/protocol/client-messages.js'
import { decodeClientMessage } from '../../src/protocol/codec.js'
import { check } from './check.js'

const types = Object.keys(CLIENT_MESSAGES)

/** Decodes, and sees to it that the answer is a message of the table or a breach that a client can be told of. */
function decoded(text: string) {
  const message = decodeClientMessage(text)
  if (message.type === 'violation') {
    ok(message.reason.length > 0 && message.reason.length < 1000, message.reason)
    ok(message.request === null || message.request.length <= 64)
    JSON.stringify(message)
  } else ok(types.includes(message.type))
  return message
}

t.test('[MSG-5] any text is a message or a breach', async (t) => {
  await check(
    t,
    'codec-text',
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void decoded(text)),
    3000,
  )
})

t.test('[MSG-5] any JSON is a message or a breach', async (t) => {
  await check(
    t,
    'codec-json',
    fc.property(fc.json({ maxDepth: 4 }), (text) => void decoded(text)),
    3000,
  )
})

t.test('[MSG-5] any object with a type is a message or a breach that names the type', async (t) => {
  const type = fc.oneof(
    fc.constantFrom(...types, 'violation', '__proto__', 'constructor', 'toString', 'x'.repeat(70)),
    fc.string({ unit: 'binary' }),
  )
  const field = fc.constantFrom('token', 'type', '__proto__', 'id')
  const object = fc
    .tuple(fc.dictionary(fc.oneof(field, fc.string()), fc.jsonValue()), type)
    .map(([rest, name]) => ({ ...rest, type: name }))
  const property = fc.property(object, (value) => {
    const message = decoded(JSON.stringify(value))
    if (message.type === 'violation') deepEqual(message.request, value.type.slice(0, 64))
    else deepEqual(JSON.stringify(message), JSON.stringify(value))
  })
  await check(t, 'codec-typed', property, 3000)
})

t.test('every valid message comes through as it is, extra fields too', async (t) => {
  const extra = fc.dictionary(
    fc.string({ minLength: 1 }).filter((name) => !['type', 'token', '__proto__'].includes(name)),
    fc.jsonValue(),
  )
  const valid = fc.oneof(
    fc.constantFrom({ type: 'ping' }, { type: 'cancel' }),
    fc.string({ minLength: 1, maxLength: 16_384 }).map((token) => ({ type: 'auth', token })),
  )
  const property = fc.property(valid, extra, (message, more) => {
    const text = JSON.stringify({ ...more, ...message })
    deepEqual(JSON.stringify(decoded(text)), text)
  })
  await check(t, 'codec-valid', property, 1000)
})
