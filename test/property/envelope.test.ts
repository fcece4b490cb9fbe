import { deepStrictEqual as deepEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import type { Entry } from '../../src/core/entry.js'
import { STATUSES } from '../../src/protocol/status.js'
import { readEnvelope } from '../../src/storage/envelope.js'
import { check } from './check.js'

/** As append.lua writes it. */
function encode({ generation, seq, class: entryClass, clears, to, key, body }: Entry): Buffer {
  const letters = { transient: 't', persisted: 'd', final: 'f', attempt: 'a', round: 'r' }
  const head = [generation, seq, letters[entryClass], clears ? letters[clears] : '-', to ?? '-', key]
  return Buffer.concat([Buffer.from(`${head.join(' ')}\n`), body])
}

const word = fc.stringMatching(/^[a-z0-9_:.-]{1,80}$/)
const entry: fc.Arbitrary<Entry> = fc.record(
  {
    id: word,
    generation: word,
    seq: fc.integer({ min: 1, max: 2 ** 40 }),
    class: fc.constantFrom('transient', 'persisted', 'final'),
    key: word,
    to: fc.constantFrom(...STATUSES),
    clears: fc.constantFrom('attempt', 'round'),
    body: fc.uint8Array({ maxLength: 2000 }).map((bytes) => Buffer.from(bytes)),
  },
  { requiredKeys: ['id', 'generation', 'seq', 'class', 'key', 'body'] },
)

t.test('an envelope is read as it was written, whatever bytes its body has', async (t) => {
  const property = fc.property(entry, (written) => {
    const { body, ...head } = readEnvelope(written.id, encode(written))
    const { body: expected, ...expectedHead } = written
    deepEqual({ ...head }, { ...expectedHead })
    deepEqual(body.toString('hex'), expected.toString('hex'))
  })
  await check(t, 'envelope', property, 2000)
})

t.test('any bytes are an entry or a TypeError', async (t) => {
  const property = fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
    try {
      readEnvelope('job', Buffer.from(bytes))
    } catch (error) {
      if (!(error instanceof TypeError)) throw error
    }
  })
  await check(t, 'envelope-bytes', property, 2000)
})
