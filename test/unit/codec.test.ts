import fc from 'fast-check'
import t from 'tap'
import { decodeClientMessage, type Violation } from '../../src/protocol/codec.js'
import { CODES, RuncastError } from '../../src/protocol/codes.js'
import { RUN_MESSAGES } from '../../src/protocol/run-messages.js'

/** What a job's socket takes. */
const JOB = ['ping', 'auth', 'cancel'] as const

t.test('[CODE-1] every reason has one row that the protocols below allow', async (t) => {
  for (const [name, { close, http, reconnect, text }] of Object.entries(CODES)) {
    t.match(name, /^[a-z]+(_[a-z]+)*$/)
    t.ok(Buffer.byteLength(text) <= 123, `${name}: ${Buffer.byteLength(text)} bytes fit a close frame (RFC 6455, section 5.5)`)
    t.match(text, /^[A-Z].*\.$/, `${name}: a sentence`)
    t.ok(
      close === 1000 ? http === 200 : Number.isInteger(http) && http >= 400 && http <= 599,
      `${name}: ${http} is an error, unless all is well`,
    )
    t.type(reconnect, 'boolean')
    if (close === null) continue
    // 1005, 1006 and 1015 are never sent, 1010 is the client's, and the rest below 3000 is not for applications (RFC 6455, section 7.4).
    const isProtocol = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013].includes(close)
    t.ok(isProtocol || (close >= 4000 && close <= 4999), `${name}: ${close} may be sent`)
  }
  for (const code of new Set(Object.values(CODES).map(({ close }) => close))) {
    const rows = Object.values(CODES).filter(({ close }) => close === code)
    if (code !== null)
      t.equal(new Set(rows.map(({ reconnect }) => reconnect)).size, 1, `a client knows from ${code} alone whether to come back`)
  }
})

t.test('[CODE-1] a refusal says its row, unless something more exact is known, and shows no more than that', async (t) => {
  const plain = new RuncastError('not_found')
  t.match(plain, { name: 'RuncastError', code: 'not_found', message: CODES.not_found.text, detail: [] })
  const exact = new RuncastError('invalid', { message: 'Something else.', issues: [{ path: '/x', expected: 'a number' }] })
  t.match(exact, { message: 'Something else.', detail: [{ path: '/x', expected: 'a number' }] })
  t.ok(exact instanceof Error)
})

t.test('[MSG-1] [MSG-2] [MSG-3] what a client may say is read; fields beyond are let through', async (t) => {
  t.same(decodeClientMessage('{"type":"ping"}'), { type: 'ping' })
  t.same(decodeClientMessage(' {"type":"ping","at":5} '), { type: 'ping', at: 5 })
  t.same(decodeClientMessage('{"type":"cancel"}'), { type: 'cancel' })
  t.same(decodeClientMessage('{"type":"auth","token":"abc"}'), { type: 'auth', token: 'abc' })
  t.match(decodeClientMessage(JSON.stringify({ type: 'auth', token: 'x'.repeat(16_384) })), { type: 'auth' }, 'the longest token')
})

t.test('[MSG-5] everything else is a breach that says what was wrong and names the type as far as it could be read', async (t) => {
  const cases: [text: string, request: string | null, reason: string][] = [
    ['', null, 'A message must be a JSON object.'],
    ['ping', null, 'A message must be a JSON object.'],
    ['{"type":"ping"', null, 'A message must be a JSON object.'],
    ['[]', null, 'A message must be a JSON object.'],
    ['5', null, 'A message must be a JSON object.'],
    ['null', null, 'A message must be a JSON object.'],
    ['{}', null, 'A message must have a string field "type".'],
    ['{"type":null}', null, 'A message must have a string field "type".'],
    ['{"type":["ping"]}', null, 'A message must have a string field "type".'],
    ['{"type":"Ping"}', 'Ping', 'Unknown message type "Ping": expected one of ping, auth, cancel.'],
    ['{"type":"toString"}', 'toString', 'Unknown message type "toString": expected one of ping, auth, cancel.'],
    ['{"type":"__proto__"}', '__proto__', 'Unknown message type "__proto__": expected one of ping, auth, cancel.'],
    ['{"type":""}', '', 'Unknown message type "": expected one of ping, auth, cancel.'],
    ['{"type":"a\\"b\\n"}', 'a"b\n', 'Unknown message type "a\\"b\\n": expected one of ping, auth, cancel.'],
  ]
  const long = 'x'.repeat(5000)
  t.match(decodeClientMessage(`{"type":"${long}"}`), { type: 'violation', request: 'x'.repeat(64) })
  t.notMatch(decodeClientMessage(`{"type":"${long}"}`), { reason: 'x'.repeat(65) }, 'what is long is not thrown back')
  for (const [text, request, reason] of cases) t.same(decodeClientMessage(text, JOB), { type: 'violation', request, reason }, text)
  for (const token of [undefined, 5, null, '', ['x'], 'x'.repeat(16_385)]) {
    const breach = decodeClientMessage(JSON.stringify({ type: 'auth', token }))
    t.match(breach, { type: 'violation', request: 'auth', reason: /token/ }, String(token).slice(0, 20))
    if (typeof token === 'string' && token !== '') t.notMatch(breach, { reason: token }, '[CODE-2] the token is not repeated')
  }
  for (const type of Object.keys(RUN_MESSAGES))
    t.match(
      decodeClientMessage(JSON.stringify({ type })),
      { type: 'violation', request: type },
      'what the hub says is for no client to say',
    )
})

t.test('[MSG-5] whatever comes in, reading does not throw, and a breach is small', async (t) => {
  const anything = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.json(),
    fc
      .record({
        type: fc.oneof(fc.anything(), fc.constantFrom('ping', 'auth', 'cancel'), fc.string({ minLength: 0, maxLength: 5000 })),
        token: fc.anything(),
      })
      .map((value) => JSON.stringify(value, bigintAsText)),
    fc.integer({ min: 1, max: 5000 }).map((depth) => '['.repeat(depth)),
    fc.integer({ min: 1, max: 5000 }).map((depth) => `{"type":${'['.repeat(depth)}${']'.repeat(depth)}}`),
  )
  const property = fc.property(anything, (text) => {
    const message = decodeClientMessage(text)
    if (message.type !== 'violation') return true
    return Buffer.byteLength(JSON.stringify(message satisfies Violation)) < 2000 && (message.request?.length ?? 0) <= 64
  })
  t.doesNotThrow(() => fc.assert(property, { numRuns: 2000 }))
})

function bigintAsText(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
