import t from 'tap'
import type { Entry } from '../../src/core/entry.js'
import { createdAtMs } from '../../src/core/entry.js'
import { processEvents } from '../../src/core/process-events.js'
import { runEvents } from '../../src/core/run-events.js'
import { optimizationEvents } from '../../src/kinds/optimization/events.js'

const AT = '2026-03-01T10:00:00.123Z'

/** An entry with these bytes. */
function entryOf(body: string): Entry {
  return { id: 'job', generation: 'g', seq: 7, key: 'k', class: 'persisted', body: Buffer.from(body) }
}

t.test('when a message was made is read from its end, whatever it says and however long it is', async (t) => {
  for (const tail of ['', ',"seq":7', ',"attempt":2,"seq":123456789012']) {
    const bytes = (fields: object) => `${JSON.stringify({ type: 'x', ...fields, timestamp: AT }).slice(0, -1)}${tail}}`
    t.equal(createdAtMs(entryOf(bytes({}))), Date.parse(AT), tail)
    t.equal(createdAtMs(entryOf(bytes({ long: 'é'.repeat(100_000) }))), Date.parse(AT), 'long')
    const other = '1999-01-01T00:00:00.000Z'
    t.equal(
      createdAtMs(entryOf(bytes({ inner: { timestamp: other }, says: `,"timestamp":"${other}"` }))),
      Date.parse(AT),
      'another one before it',
    )
  }
})

t.test('where none stands at the end there is none: one inside a text or an inner object is not taken for it', async (t) => {
  for (const body of [
    '{}',
    JSON.stringify({ timestamp: AT, late: 'x' }),
    JSON.stringify({ a: 1, inner: { b: 1, timestamp: AT } }),
    JSON.stringify({ a: 1, says: `,"timestamp":"${AT}"` }),
    JSON.stringify({ a: 1, timestamp: 'soon' }),
  ])
    t.ok(Number.isNaN(createdAtMs(entryOf(body))), body)
})

t.test('every event of every kind has it there', async (t) => {
  const before = Date.now()
  const events = [
    runEvents.status('job', 'running'),
    runEvents.metric('job', 'm', 1, 'Hz'),
    optimizationEvents.status('job', 'running'),
    processEvents('benchmark').result('job', { a: 1 }),
  ]
  for (const { message } of events) {
    const at = createdAtMs(entryOf(JSON.stringify(message)))
    t.ok(at >= before && at <= Date.now(), String(message.type))
  }
})
