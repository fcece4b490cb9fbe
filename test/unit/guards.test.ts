import t from 'tap'
import type { Identity } from '../../src/core/identity.js'
import { DEFAULT_PENDING_LIMITS, PendingSockets } from '../../src/hub/guards/pending-sockets.js'
import { DEFAULT_UPGRADE_LIMITS, UpgradeLimit } from '../../src/hub/guards/upgrade-limit.js'
import { isHolding, RevocationList, type StoredRevocation } from '../../src/storage/revocations.js'
import { ManualClock } from '../support/manual.js'

const NOON = Date.parse('2026-01-01T12:00:00Z')

function identity(claims: Partial<Identity> = {}): Identity {
  return { sub: 'alice', role: 'user', issuedAt: NOON, expiresAt: NOON + 3600_000, ...claims }
}

function entry(fields: Partial<StoredRevocation> = {}): StoredRevocation {
  return { id: 'sub:alice', before: 0, until: NOON + 3600_000, revokedAt: 1, undoneAt: 0, ...fields }
}

t.test('[REV-1] a revoked jti is one token, of whatever user; it is forgotten when it would have expired', async (t) => {
  const list = new RevocationList()
  t.ok(list.add(entry({ id: 'jti:a', until: NOON + 1000 })))
  t.ok(list.isRevoked(identity({ jti: 'a' })))
  t.ok(list.isRevoked(identity({ jti: 'a', sub: 'bob' })))
  t.notOk(list.isRevoked(identity({ jti: 'b' })))
  t.notOk(list.isRevoked(identity()), 'a token without a jti')
  t.notOk(list.add(entry({ id: 'jti:a', until: NOON + 500 })), 'nothing new')
  list.forget(NOON + 999)
  t.equal(list.all.length, 1)
  list.forget(NOON + 1000)
  t.equal(list.all.length, 0)
})

t.test('[REV-2] issued before a moment: by whole seconds the second of the moment stays, finer times are compared exactly', async (t) => {
  const list = new RevocationList()
  list.add(entry({ before: NOON + 700 }))
  const cases: [issuedAt: number, revoked: boolean][] = [
    [0, true],
    [NOON - 1000, true],
    [NOON - 1, true],
    [NOON, false],
    [NOON + 300, true],
    [NOON + 699, true],
    [NOON + 700, false],
    [NOON + 1000, false],
  ]
  for (const [issuedAt, revoked] of cases) t.equal(list.isRevoked(identity({ issuedAt })), revoked, `${issuedAt - NOON}`)
  t.notOk(list.isRevoked(identity({ sub: 'bob', issuedAt: 0 })), 'another user')
})

t.test('[REV-2] of two moments for one user the later holds, in whatever order they come', async (t) => {
  for (const moments of [
    [NOON, NOON + 5000],
    [NOON + 5000, NOON],
  ]) {
    const list = new RevocationList()
    for (const before of moments) list.add(entry({ before, until: before + 3600_000 }))
    t.ok(list.isRevoked(identity({ issuedAt: NOON + 4000 })))
    t.notOk(list.isRevoked(identity({ issuedAt: NOON + 5000 })))
    list.forget(NOON + 3600_000)
    t.equal(list.all.length, 1, 'and so does the later end')
  }
})

t.test('[REV-6] revoked, undone and revoked again: in whatever order a node learns of it, the same holds', async (t) => {
  const known = [
    entry({ before: NOON + 2000, revokedAt: 10 }),
    entry({ revokedAt: 10, undoneAt: 20 }),
    entry({ before: NOON + 1000, revokedAt: 30 }),
  ]
  const orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] // biome-ignore format: a table
  for (const order of orders) {
    const list = new RevocationList()
    for (const i of order) list.add(known[i] ?? entry())
    t.ok(list.isRevoked(identity()), order.join())
    t.same(list.all, [entry({ before: NOON + 2000, revokedAt: 30, undoneAt: 20 })])
    list.add(entry({ undoneAt: 40 }))
    t.notOk(list.isRevoked(identity()))
    t.same(list.all.map(isHolding), [false], 'and stays known until its end')
  }
})

t.test('[LIMIT-3] upgrades of one address: as many at once as in a second, then as they come back', async (t) => {
  const clock = new ManualClock()
  const limit = new UpgradeLimit(clock, { ...DEFAULT_UPGRADE_LIMITS, maxPerSecond: 10 })
  const taken = (address: string) => Array.from({ length: 20 }, () => limit.refuse(address, 0)).filter((seconds) => seconds === null).length
  t.equal(taken('10.0.0.1'), 10)
  t.equal(taken('10.0.0.2'), 10, 'another address has its own')
  t.equal(limit.refuse('10.0.0.1', 0), 1, 'seconds to wait')
  clock.advance(500)
  t.equal(taken('10.0.0.1'), 5)
  for (const ms of [-3600_000, 7200_000]) {
    clock.set(ms)
    t.equal(taken('10.0.0.1'), 0, 'a clock that is set gives nothing')
  }
  clock.advance(60_000)
  t.equal(taken('10.0.0.1'), 10, 'never more than a second’s')
})

t.test('[LIMIT-3] the memory for addresses is bounded: the one that was quiet for longest is forgotten', async (t) => {
  const clock = new ManualClock()
  const limit = new UpgradeLimit(clock, { ...DEFAULT_UPGRADE_LIMITS, maxPerSecond: 1, maxAddresses: 100 })
  t.equal(limit.refuse('first', 0), null)
  for (let i = 0; i < 99; i += 1) limit.refuse(`address ${i}`, 0)
  t.equal(limit.refuse('first', 0), 1, 'is remembered, and now the newest')
  for (let i = 0; i < 99; i += 1) limit.refuse(`another ${i}`, 0)
  t.equal(limit.refuse('first', 0), 1, 'still')
  for (let i = 0; i < 10_000; i += 1) limit.refuse(`flood ${i}`, 0)
  t.equal(limit.addresses, 100)
})

t.test('[LIMIT-2] a full node and one that drains refuse everybody, and spend nothing of their rate', async (t) => {
  const limit = new UpgradeLimit(new ManualClock(), { ...DEFAULT_UPGRADE_LIMITS, maxSockets: 3, maxPerSecond: 1 })
  t.equal(limit.refuse('a', 3), 5)
  t.equal(limit.refuse('a', 2), null)
  limit.drain()
  t.equal(limit.draining, true)
  t.equal(limit.refuse('b', 0), 5)
  t.equal(limit.addresses, 1)
})

t.test('[LIMIT-5] sockets without a token are bounded for an address and for a node', async (t) => {
  const pending = new PendingSockets({ ...DEFAULT_PENDING_LIMITS, maxSockets: 5, maxPerAddress: 3 })
  const added = [1, 2, 3].map(() => pending.add('a'))
  t.equal(pending.hasRoom('a'), false, 'an address that has all its own')
  t.equal(pending.hasRoom('b'), true)
  pending.add('b')
  pending.add('b')
  t.equal(pending.hasRoom('c'), false, 'a node that has all its own')
  added[0]?.leave()
  added[0]?.leave()
  t.equal(pending.size, 4, 'one that leaves twice leaves once')
  t.equal(pending.hasRoom('a'), true)
  t.equal(pending.hasRoom('c'), true)
})

t.test('[LIMIT-5] what one sends without a token is bounded by bytes, reads and frames, and with a token no longer', async (t) => {
  const limits = { ...DEFAULT_PENDING_LIMITS, maxBytesPerSocket: 100, maxReadsPerSocket: 4, maxFramesPerSocket: 2 }
  const pending = new PendingSockets(limits)
  const [long, chatty, framed] = [pending.add('a'), pending.add('a'), pending.add('a')]
  t.same(
    [60, 40, 1].map((bytes) => long.read(bytes)),
    [true, true, false],
  )
  t.same(
    [1, 1, 1, 1, 1].map((bytes) => chatty.read(bytes)),
    [true, true, true, true, false],
  )
  t.same(
    [1, 2, 3].map(() => framed.frame()),
    [true, true, false],
  )
  framed.leave()
  t.ok(framed.frame() && framed.read(1_000_000))
  t.equal(framed.isPending, false)
})

t.test('[LIMIT-5] all that is sent without a token is bounded; one address has a quarter of it', async (t) => {
  const pending = new PendingSockets({ ...DEFAULT_PENDING_LIMITS, maxBytes: 400 })
  const first = pending.add('a')
  t.same(
    [100, 1].map((bytes) => first.read(bytes)),
    [true, false],
    'of one address',
  )
  t.equal(pending.hasRoom('a'), false)
  first.leave()
  t.equal(pending.hasRoom('a'), true, 'what left is not counted')
  const others = ['b', 'c', 'd', 'e', 'f'].map((address) => pending.add(address))
  t.same(
    others.map((socket) => socket.read(90)),
    [true, true, true, true, false],
    'of all',
  )
})

t.test('[LIMIT-5] a socket that abuses its upgrade costs its address twenty, in debt of a second at most', async (t) => {
  const clock = new ManualClock()
  const limit = new UpgradeLimit(clock, { ...DEFAULT_UPGRADE_LIMITS, maxPerSecond: 100 })
  const taken = () => Array.from({ length: 200 }, () => limit.refuse('a', 0)).filter((seconds) => seconds === null).length
  limit.penalise('a')
  t.equal(taken(), 80)
  for (let i = 0; i < 1000; i += 1) limit.penalise('a')
  clock.advance(1000)
  t.equal(taken(), 0)
  clock.advance(500)
  t.equal(taken(), 50)
})

t.test('[LIMIT-5] a node full of strangers refuses strangers alone', async (t) => {
  const limit = new UpgradeLimit(
    new ManualClock(),
    DEFAULT_UPGRADE_LIMITS,
    new PendingSockets({ ...DEFAULT_PENDING_LIMITS, maxSockets: 1 }),
  )
  limit.pending.add('a')
  t.equal(limit.refuse('b', 1, true), 1)
  t.equal(limit.refuse('b', 1), null)
  t.same(
    limit.refused.rows.filter(([, count]) => count > 0),
    [[['pending'], 1]],
  )
})
