import fc from 'fast-check'
import t from 'tap'
import { IDEMPOTENCY_KEY_PATTERN, idOfKey } from '../../src/jobs/idempotency.js'
import { isJobId } from '../../src/protocol/job-id.js'

const UUID_V8 = /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

t.test('[IDEM-1] the id of a key is a UUIDv8, the same on every node and in every version', async (t) => {
  t.equal(idOfKey('alice', 'run', 'key-1'), idOfKey('alice', 'run', 'key-1'))
  t.equal(idOfKey('alice', 'run', 'key-1'), 'd11d2e95-a7b6-88b0-81e8-4932e2ab14f8')
  fc.assert(
    fc.property(fc.string(), fc.string(), (owner, key) => {
      const id = idOfKey(owner, 'run', key)
      return UUID_V8.test(id) && isJobId(id)
    }),
  )
})

t.test('[IDEM-1] another owner, kind or key is another id, however they are put together', async (t) => {
  const triples: [owner: string, kind: string, key: string][] = [
    ['alice', 'run', 'k'],
    ['bob', 'run', 'k'],
    ['alice', 'benchmark', 'k'],
    ['alice', 'run', 'K'],
    ['alice","run', 'run', 'k'],
    ['alice', 'run', 'run","k'],
    ['alicerun', '', 'k'],
    ['', 'alicerun', 'k'],
  ]
  t.equal(new Set(triples.map((triple) => idOfKey(...triple))).size, triples.length)
  const text = fc.string({ maxLength: 5 })
  fc.assert(
    fc.property(fc.tuple(text, text, text), fc.tuple(text, text, text), (a, b) => {
      return JSON.stringify(a) === JSON.stringify(b) || idOfKey(...a) !== idOfKey(...b)
    }),
  )
})

t.test('[IDEM-2] a key is 1 to 255 visible ASCII characters', async (t) => {
  const pattern = new RegExp(IDEMPOTENCY_KEY_PATTERN)
  for (const key of ['!', '~', '1', '"quoted"', 'x'.repeat(255)]) t.match(key, pattern)
  for (const key of ['', ' ', 'a b', 'ä', 'a\n', '\u007f', 'x'.repeat(256)]) t.notMatch(key, pattern, JSON.stringify(key))
})
