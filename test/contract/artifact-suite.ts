import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { Test } from 'tap'
import { type ArtifactStore, objectOf } from '../../src/storage/artifact-store.js'

/** Opens a store; several of one place if the same one is named. */
export type OpenStore = (t: Test, place: string) => ArtifactStore

const GENERATION = '0123456789ab'

function newObject(id = 'a-job', name = 'x.csv', generation = GENERATION): string {
  return objectOf(id, generation, name, randomBytes(8).toString('hex'))
}

async function* bytesOf(...chunks: (string | Uint8Array)[]): AsyncIterable<Uint8Array> {
  for (const chunk of chunks) yield Buffer.from(chunk)
}

async function* repeated(chunk: Uint8Array, times: number): AsyncIterable<Uint8Array> {
  for (let i = 0; i < times; i += 1) yield chunk
}

async function textOf(store: ArtifactStore, object: string, range?: { first: number; last: number }): Promise<string | null> {
  const content = await store.open(object, range)
  return content && Buffer.concat(await content.toArray()).toString()
}

async function listed(store: ArtifactStore, under?: string) {
  const found = []
  for await (const each of store.list(under)) found.push(each)
  return found.toSorted((a, b) => (a.object < b.object ? -1 : 1))
}

/** What every ArtifactStore keeps. */
export function artifactStoreContract(t: Test, open: OpenStore): void {
  t.test('[ART-8] an object has the content that was stored, whole and in ranges', async (t) => {
    const store = open(t, randomUUID())
    const object = newObject()
    t.equal(await store.open(object), null)
    await store.put(object, bytesOf('0123', '', '456789'))
    t.equal(await textOf(store, object), '0123456789')
    t.equal(await textOf(store, object, { first: 0, last: 0 }), '0')
    t.equal(await textOf(store, object, { first: 4, last: 9 }), '456789')
    const empty = newObject()
    await store.put(empty, bytesOf())
    t.equal(await textOf(store, empty), '')
  })

  t.test('[ART-8] large content passes in pieces', async (t) => {
    const store = open(t, randomUUID())
    const object = newObject()
    const chunk = randomBytes(1_000_003)
    await store.put(object, repeated(chunk, 20))
    const expected = createHash('sha256')
    for (let i = 0; i < 20; i += 1) expected.update(chunk)
    const hash = createHash('sha256')
    for await (const piece of (await store.open(object)) ?? []) hash.update(piece)
    t.equal(hash.digest('hex'), expected.digest('hex'))
    t.equal(await textOf(store, object, { first: 19_000_057, last: 19_000_060 }), chunk.subarray(0, 4).toString())
  })

  t.test('[ART-8] content that breaks off leaves no object', async (t) => {
    const store = open(t, randomUUID())
    for (const bytes of [10, 20_000_000]) {
      const object = newObject()
      const broken = async function* () {
        yield Buffer.alloc(bytes)
        throw new Error('cut')
      }
      await t.rejects(store.put(object, broken()), { message: 'cut' })
      t.equal(await store.open(object), null)
    }
    t.same(await listed(store), [])
  })

  t.test('[ART-8] objects are listed, all of them and those of one job', async (t) => {
    const place = randomUUID()
    const [store, other] = [open(t, place), open(t, randomUUID())]
    const [a, b, c] = [newObject('a'), newObject('a', 'y.bin'), newObject('b', 'x.csv', 'ba9876543210')]
    const begun = Date.now()
    for (const object of [a, b, c]) await store.put(object, bytesOf('123'))
    await store.mark(randomUUID())
    t.same(
      (await listed(store)).map(({ object, bytes }) => [object, bytes]),
      [a, b, c].toSorted().map((object) => [object, 3]),
    )
    t.same(
      (await listed(store, `b/ba9876543210`)).map(({ object }) => object),
      [c],
    )
    t.same(await listed(store, `b/${GENERATION}`), [])
    for (const { storedAt } of await listed(store)) t.ok(Math.abs(storedAt - begun) < 60_000)
    t.same(await listed(other), [], 'another prefix has its own')
    t.same((await listed(open(t, place))).length, 3)
  })

  t.test('[ART-8] removed objects are gone; a download under way continues', async (t) => {
    const store = open(t, randomUUID())
    const [kept, gone] = [newObject(), newObject()]
    for (const object of [kept, gone]) await store.put(object, bytesOf('text'))
    const content = await store.open(gone)
    await store.remove([gone, newObject('nobody')])
    t.equal(Buffer.concat((await content?.toArray()) ?? []).toString(), 'text')
    t.equal(await store.open(gone), null)
    t.equal(await textOf(store, kept), 'text')
    await store.remove([kept])
    t.same(await listed(store), [])
    await store.put(kept, bytesOf('again'))
    t.equal(await textOf(store, kept), 'again')
  })

  t.test('[ART-8] uploads and removals in one place do not disturb each other', async (t) => {
    const store = open(t, randomUUID())
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        for (let n = 0; n < 5; n += 1) {
          const object = newObject('busy', `${i}.txt`)
          await store.put(object, bytesOf(`${i}`))
          t.equal(await textOf(store, object), `${i}`)
          await store.remove([object])
        }
      }),
    )
    t.same(await listed(store), [])
  })

  t.test('[ART-8] the first marker stays', async (t) => {
    const place = randomUUID()
    const stores = [open(t, place), open(t, place), open(t, place)]
    t.equal(await stores[0]?.marker(), null)
    const marks = await Promise.all(stores.map((store) => store.mark(randomUUID())))
    t.equal(new Set(marks).size, 1)
    t.equal(await open(t, place).marker(), marks[0])
    t.equal(await open(t, randomUUID()).marker(), null)
  })
}
