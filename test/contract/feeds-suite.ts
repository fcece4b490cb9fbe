import type { Test } from 'tap'
import type { Feeds, IndexChange } from '../../src/storage/feeds.js'
import { eventually } from '../support/eventually.js'

/** Two nodes on the same feeds: what one announces the other hears. */
export interface FeedNodes {
  readonly feeds: Feeds
  readonly other: Feeds
}

/** Opens feeds without any users, for one test. */
export type OpenFeeds = (t: Test) => FeedNodes

function listenTo(feeds: Feeds): IndexChange[] {
  const heard: IndexChange[] = []
  feeds.listen({ changed: (announcement) => heard.push(announcement), gap: () => {} })
  return heard
}

/** What every implementation of Feeds keeps, whatever it is made of. */
export function feedsContract(t: Test, open: OpenFeeds): void {
  t.test('[PROC-5] a user who has nothing has an empty roll', async (t) => {
    t.match(await open(t).feeds.read('alice'), { seq: 0, active: [], ended: [] })
  })

  t.test('[PROC-5] each index change has the next position, and the active-jobs index has that of the last one', async (t) => {
    const { feeds, other } = open(t)
    const heard = listenTo(other)
    await other.subscribe('alice')
    for (const id of ['a', 'b', 'c']) t.equal(await feeds.add('alice', id), true)
    await eventually(() => heard.length === 3)
    const { generation, seq, active } = await other.read('alice')
    t.same(
      heard,
      ['a', 'b', 'c'].map((id, i) => ({ owner: 'alice', generation, seq: i + 1, id })),
    )
    t.equal(seq, 3)
    t.same(active, ['c', 'b', 'a'], 'newest first')
    t.not(generation, '')
  })

  t.test('[PROC-5] to announce again what is active changes nothing, unless another round begins', async (t) => {
    const { feeds, other } = open(t)
    const heard = listenTo(other)
    await other.subscribe('alice')
    for (const id of ['a', 'b', 'c']) await feeds.add('alice', id)
    t.equal(await feeds.add('alice', 'a'), false)
    t.match(await feeds.read('alice'), { seq: 3, active: ['c', 'b', 'a'] })
    t.equal(await feeds.add('alice', 'b', true), true)
    t.match(await feeds.read('alice'), { seq: 4, active: ['b', 'c', 'a'] })
    await eventually(() => heard.length === 4)
    t.match(heard.at(-1), { seq: 4, id: 'b' })
  })

  t.test('[PROC-5] two submits of one id at once are announced once', async (t) => {
    const { feeds, other } = open(t)
    const made = await Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 ? feeds : other).add('alice', 'a')))
    t.equal(made.filter(Boolean).length, 1)
    t.match(await feeds.read('alice'), { seq: 1, active: ['a'] })
  })

  t.test('[PROC-1] a job that has ended is among the ended, the last one first, and back with its next round', async (t) => {
    const { feeds } = open(t)
    for (const id of ['a', 'b', 'c']) await feeds.add('alice', id)
    for (const id of ['b', 'a', 'a']) await feeds.remove('alice', id)
    t.match(await feeds.read('alice'), { seq: 3, active: ['c'], ended: ['a', 'b'] })
    t.equal(await feeds.add('alice', 'b', true), true)
    t.match(await feeds.read('alice'), { seq: 4, active: ['b', 'c'], ended: ['a'] })
  })

  t.test('[PROC-1] of those that have ended the last twenty are known', async (t) => {
    const { feeds } = open(t)
    for (let i = 0; i < 25; i += 1) await feeds.remove('alice', `j${i}`)
    const { ended } = await feeds.read('alice')
    t.same(
      ended,
      Array.from({ length: 20 }, (_, i) => `j${24 - i}`),
    )
  })

  t.test('[PROC-4] each user has a feed of their own', async (t) => {
    const { feeds, other } = open(t)
    const heard = listenTo(other)
    const odd = ['bob', 'alice:active', 'a}b', 'é ü', 'alice ']
    for (const owner of [...odd, 'carol']) await other.subscribe(owner)
    for (const owner of odd) await feeds.add(owner, `of-${odd.indexOf(owner)}`)
    await feeds.add('alice', 'secret')
    await feeds.add('carol', 'last')
    await eventually(() => heard.some(({ id }) => id === 'last'))
    t.same(
      heard.map(({ owner, id, seq }) => [owner, id, seq]),
      [...odd.map((owner, i) => [owner, `of-${i}`, 1]), ['carol', 'last', 1]],
    )
    for (const [i, owner] of odd.entries()) t.same((await feeds.read(owner)).active, [`of-${i}`])
  })

  t.test('who has left the channel hears nothing more, and may come back', async (t) => {
    const { feeds, other } = open(t)
    const heard = listenTo(other)
    await other.subscribe('alice')
    await other.subscribe('bob')
    await feeds.add('alice', 'a')
    await eventually(() => heard.length === 1)
    await other.unsubscribe('alice')
    await feeds.add('alice', 'b')
    await feeds.add('bob', 'x')
    await eventually(() => heard.length === 2)
    await other.subscribe('alice')
    await feeds.add('alice', 'c')
    await eventually(() => heard.length === 3)
    t.same(
      heard.map(({ id, seq }) => [id, seq]),
      [
        ['a', 1],
        ['x', 1],
        ['c', 3],
      ],
    )
  })
}
