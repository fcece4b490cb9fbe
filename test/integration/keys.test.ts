import { generateKeyPairSync, sign } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Fastify from 'fastify'
import t, { type Test } from 'tap'
import { type AuthOptions, auth } from '../../src/http/plugins/auth.js'
import { keyServerSource } from '../../src/http/plugins/key-server.js'
import { publicKeySource } from '../../src/http/plugins/keys.js'
import { origins } from '../../src/http/plugins/origins.js'
import { rateLimit } from '../../src/http/plugins/rate-limit.js'
import type { RoleNames } from '../../src/http/plugins/roles.js'
import { visitors } from '../../src/http/plugins/visitors.js'
import { SECRET, startHarness } from '../support/harness.js'
import { newKey, startKeyServer } from '../support/key-server.js'
import { badTokens, tokenOf } from '../support/tokens.js'

const rsa = await newKey('RS256', 'rsa')
const ec = await newKey('ES256', 'ec')
const ed = await newKey('EdDSA', 'ed')
const KEYS = [rsa, ec, ed]

const exp = Math.floor(Date.now() / 1000) + 600
const ALICE = { sub: 'alice', exp }
const REFUSED = { code: 'unauthenticated' }

interface Settings {
  readonly secret?: string
  readonly publicKey?: string
  readonly jwksUrl?: string
  readonly issuer?: string
  readonly audience?: string
  readonly roles?: RoleNames
}

/** A server that reads tokens, and nothing is revoked. */
async function reader(t: Test, { secret = '', publicKey = '', jwksUrl = '', issuer = '', audience = '', roles }: Settings) {
  const app = Fastify()
  t.teardown(() => app.close())
  const revocations: AuthOptions['revocations'] = {
    ready: async () => {},
    isRevoked: () => false,
    listen: () => {},
    revoke: async () => {},
    undo: async () => false,
    list: () => [],
    close: () => {},
  }
  await app.register(visitors, { known: () => undefined })
  await app.register(origins, { allowed: [], publicUrl: '', prefix: '', isStrict: false })
  await app.register(rateLimit, { maxPerUser: 1000, maxPerAddress: 1000 })
  await app.register(auth, {
    keys: { secret, publicKey, jwksUrl },
    expected: { issuer, audience, ...(roles && { roles }) },
    cookie: '',
    revocations,
  })
  return (token: string) => app.authenticate(token)
}

t.test(
  '[AUTH-1] HS256 by secret, RS256, ES256 and EdDSA by public key: each is accepted where it is configured and refused where it is not',
  async (t) => {
    const tokens = new Map([['HS256', tokenOf(ALICE)]])
    const readers = new Map([['HS256', await reader(t, { secret: SECRET })]])
    for (const key of KEYS) {
      tokens.set(key.alg, await key.sign(ALICE))
      readers.set(key.alg, await reader(t, { publicKey: key.pem }))
    }
    for (const [configured, read] of readers) {
      for (const [alg, token] of tokens) {
        if (alg === configured) t.same(await read(token), { sub: 'alice', role: 'user', issuedAt: 0, expiresAt: exp * 1000 }, alg)
        else await t.rejects(read(token), REFUSED, `${alg} where ${configured} is configured`)
      }
    }
    const both = await reader(t, { secret: SECRET, publicKey: ec.pem })
    t.match(await both(tokenOf(ALICE)), { sub: 'alice' })
    t.match(await both(await ec.sign(ALICE)), { sub: 'alice' })
    await t.rejects(both(await rsa.sign(ALICE)), REFUSED)
  },
)

t.test('[AUTH-1] a public key is no secret: HS256 signed with its PEM is refused, as are none and every other algorithm', async (t) => {
  const server = await startKeyServer(t, KEYS)
  for (const { alg, pem, kid, jwk } of KEYS) {
    const readers = [
      await reader(t, { publicKey: pem }),
      await reader(t, { secret: SECRET, publicKey: pem }),
      await reader(t, { jwksUrl: server.url }),
    ]
    for (const read of readers) {
      for (const secret of [pem, pem.trim(), JSON.stringify(jwk)]) {
        await t.rejects(read(tokenOf(ALICE, { alg: 'HS256', typ: 'JWT', kid }, secret)), REFUSED, `HS256 with the key of ${alg}`)
      }
      for (const other of ['none', 'None', 'HS384', 'HS512', 'RS512', 'PS256', 'ES384', '', 'hs256']) {
        await t.rejects(read(tokenOf(ALICE, { alg: other, kid }, pem)), REFUSED, other)
      }
    }
  }
  const foreign = await newKey('ES256', 'ec')
  const read = await reader(t, { publicKey: ec.pem })
  await t.rejects(read(await foreign.sign(ALICE)), REFUSED, 'another key')
  const [header, , signature] = (await ec.sign(ALICE)).split('.')
  const admin = Buffer.from(JSON.stringify({ ...ALICE, role: 'admin' })).toString('base64url')
  await t.rejects(read(`${header}.${admin}.${signature}`), REFUSED, 'another payload')
})

t.test('[AUTH-1] whatever is wrong with a token is unauthenticated or expired, by whatever key', async (t) => {
  const server = await startKeyServer(t, KEYS)
  const byServer = await reader(t, { jwksUrl: server.url })
  const readers = [await reader(t, { secret: SECRET }), await reader(t, { publicKey: rsa.pem }), byServer]
  const now = Math.floor(Date.now() / 1000)
  const wrong: Record<string, object> = {
    'no exp': { sub: 'alice' },
    'no sub': { exp },
    'an empty sub': { sub: '', exp },
    'exp as a text': { sub: 'alice', exp: String(exp) },
    'exp beyond all time': { sub: 'alice', exp: 1e15 },
    'an unknown role': { ...ALICE, role: 'root' },
    'not valid yet': { ...ALICE, nbf: exp },
    'issued in the future': { ...ALICE, iat: now + 3600 },
    'iat as a text': { ...ALICE, iat: 'now' },
    'jti as a number': { ...ALICE, jti: 5 },
  }
  for (const [name, claims] of Object.entries(wrong)) {
    const tokens = [tokenOf(claims), await rsa.sign(claims), await ed.sign(claims)]
    for (const [i, read] of readers.entries()) await t.rejects(read(tokens[i] ?? ''), REFUSED, name)
  }
  const expired = { sub: 'alice', exp: now - 1 }
  const late = [tokenOf(expired), await rsa.sign(expired), await ed.sign(expired)]
  for (const [i, read] of readers.entries()) await t.rejects(read(late[i] ?? ''), { code: 'expired' })
  const broken = [
    '',
    '.',
    '..',
    '...',
    'e30.e30.',
    'bnVsbA.e30.e30',
    tokenOf(ALICE, { alg: 'RS256', kid: { a: 1 } }),
    tokenOf(ALICE, { alg: 5 }),
    `${await rsa.sign(ALICE)}.x`,
    (await rsa.sign(ALICE)).replace(/\.[^.]*$/, '.AAAA'),
    ...Object.values(badTokens()),
  ]
  for (const token of broken) for (const read of readers.slice(1)) await t.rejects(read(token), REFUSED, token.slice(0, 60))
  await t.rejects(byServer(await rsa.sign(ALICE, { kid: 'ec' })), REFUSED, 'the name of a key of another kind')
})

t.test('[AUTH-2] issuer and audience are asked for where they are set; role, jti and iat are read', async (t) => {
  const read = await reader(t, { publicKey: ec.pem, issuer: 'https://login.example', audience: 'runcast' })
  const good = { ...ALICE, iss: 'https://login.example', aud: ['other', 'runcast'], role: 'admin', jti: 'j-1', iat: 1_700_000_000 }
  const identity = { sub: 'alice', role: 'admin', jti: 'j-1', issuedAt: 1_700_000_000_000, expiresAt: exp * 1000 }
  t.same(await read(await ec.sign(good)), identity)
  t.same(await read(await ec.sign({ ...good, aud: 'runcast' })), identity)
  const wrong = [
    { iss: undefined },
    { iss: 'https://login.example/' },
    { iss: ['https://login.example'] },
    { aud: undefined },
    { aud: [] },
    { aud: 'run' },
    { aud: { runcast: 1 } },
  ]
  for (const change of wrong) await t.rejects(read(await ec.sign({ ...good, ...change })), REFUSED, JSON.stringify(change))
})

t.test('[AUTH-2] the claim of the role and its values are settings; unknown roles of others are users', async (t) => {
  const read = async (roles: RoleNames | undefined, claims: object) =>
    (await reader(t, { publicKey: ec.pem, ...(roles && { roles }) }))(await ec.sign({ ...ALICE, ...claims })).then(
      ({ role }) => role,
      ({ code }) => code,
    )
  const keycloak = { claim: 'realm_access.roles', admin: 'runcast-admin', worker: 'runcast-worker' }
  const cases: [roles: RoleNames | undefined, claims: object, role: string][] = [
    [keycloak, { realm_access: { roles: ['offline_access', 'runcast-admin'] } }, 'admin'],
    [keycloak, { realm_access: { roles: ['runcast-worker'] } }, 'worker'],
    [keycloak, { realm_access: { roles: ['admin'] } }, 'user'],
    [keycloak, { role: 'admin', realm_access: 5 }, 'user'],
    [keycloak, { realm_access: { roles: [1] } }, 'unauthenticated'],
    [{ ...keycloak, claim: 'https://app.example/roles' }, { 'https://app.example/roles': 'runcast-admin' }, 'admin'],
    [{ ...keycloak, claim: 'groups' }, { groups: 'staff' }, 'user'],
    [undefined, { role: ['user', 'worker'] }, 'worker'],
    [undefined, { role: 'root' }, 'unauthenticated'],
    [undefined, {}, 'user'],
  ]
  for (const [roles, claims, role] of cases) t.equal(await read(roles, claims), role, JSON.stringify(claims))
})

t.test('[AUTH-2] of an identity provider only access tokens are taken: no ID token, no token of another type', async (t) => {
  const server = await startKeyServer(t, KEYS)
  const readers = [await reader(t, { publicKey: ec.pem }), await reader(t, { jwksUrl: server.url })]
  const other: [claims: object, header?: object][] = [
    [{ nonce: 'n' }],
    [{ at_hash: 'h' }],
    [{ c_hash: 'h' }],
    [{ typ: 'ID' }],
    [{ typ: 'Refresh' }],
    [{ token_use: 'id' }],
    [{}, { typ: 'logout+jwt' }],
    [{}, { typ: 'dpop+jwt' }],
  ]
  for (const read of readers) {
    for (const [claims, header] of other)
      await t.rejects(read(await ec.sign({ ...ALICE, ...claims }, header)), {
        ...REFUSED,
        message: /^The token is not an access token, according to its /,
      })
    for (const typ of ['JWT', 'jwt', 'at+jwt', 'application/at+jwt', undefined])
      t.match(
        await read(await ec.sign({ ...ALICE, typ: 'Bearer', token_use: 'access', nonce: 'n' }, { typ })),
        { sub: 'alice' },
        String(typ),
      )
  }
})

t.test('[AUTH-3] the keys of a server that rotates them: a new one is fetched, one that was withdrawn goes', async (t) => {
  const server = await startKeyServer(t, KEYS)
  const read = await reader(t, { jwksUrl: server.url })
  for (const key of KEYS) t.match(await read(await key.sign(ALICE)), { sub: 'alice' }, key.alg)
  await Promise.all(Array.from({ length: 50 }, async () => read(await rsa.sign(ALICE))))
  t.equal(server.requests, 1, 'one fetch for all')

  const source = keyServerSource(server.url, () => {}, { unknownKeyMs: 0 })
  t.match(await source.claims(await rsa.sign(ALICE)), { sub: 'alice' })
  const next = await newKey('RS256', 'rsa-2')
  server.keys = [next, ec]
  t.match(await source.claims(await next.sign(ALICE)), { sub: 'alice' }, 'by the first token that names it')
  await t.rejects(source.claims(await rsa.sign(ALICE)), REFUSED, 'the old key went with the same fetch')
  t.match(await source.claims(await ec.sign(ALICE)), { sub: 'alice' })
})

t.test(
  '[AUTH-3] a token that names no key is tried with each that may be the one; keys that nobody has are not asked for again and again',
  async (t) => {
    const second = await newKey('RS256', 'rsa-2')
    const server = await startKeyServer(t, [rsa, second, ec])
    const read = await reader(t, { jwksUrl: server.url })
    for (const key of [rsa, second, ec]) t.match(await read(await key.sign(ALICE, { kid: undefined })), { sub: 'alice' })
    const unknown = await newKey('RS256', 'nobody')
    for (let i = 0; i < 20; i += 1) await t.rejects(read(await unknown.sign(ALICE)), REFUSED)
    await t.rejects(read(await unknown.sign(ALICE, { kid: undefined })), REFUSED)
    await t.rejects(read(await ed.sign(ALICE)), REFUSED, 'a key that the server does not have')
    t.equal(server.requests, 1)
  },
)

t.test(
  '[AUTH-3] while the server of keys does not answer: overloaded for a key that is not known, while those that are known hold',
  async (t) => {
    const faults: unknown[] = []
    const server = await startKeyServer(t, [rsa])
    const source = keyServerSource(server.url, (fault) => faults.push(fault), { unknownKeyMs: 0 })
    for (const answer of [
      { status: 500, body: '' },
      { status: 200, body: 'no JSON' },
      { status: 200, body: '{"keys":5}' },
    ]) {
      server.answer = answer
      const fresh = keyServerSource(server.url, () => {})
      const before = server.requests
      for (let i = 0; i < 5; i += 1) await t.rejects(fresh.claims(await rsa.sign(ALICE)), { code: 'overloaded' }, JSON.stringify(answer))
      t.equal(server.requests - before, 1, 'it is left alone for a moment')
    }
    server.answer = null
    t.match(await source.claims(await rsa.sign(ALICE)), { sub: 'alice' })
    await server.close()
    t.match(await source.claims(await rsa.sign(ALICE)), { sub: 'alice' }, 'it is known')
    await t.rejects(source.claims(await ec.sign(ALICE)), { code: 'overloaded' })
    const begun = faults.length
    t.equal(begun, 1, 'told')
    await Promise.all(Array.from({ length: 20 }, async () => t.rejects(source.claims(await ec.sign(ALICE)), { code: 'overloaded' })))
    t.ok(faults.length <= begun + 2, 'a storm of tokens is no storm of requests')
  },
)

t.test('[AUTH-3] keys hold ten minutes, an hour while the server is away; an unknown one is asked for every 5 s', async (t) => {
  const server = await startKeyServer(t, [rsa])
  const faults: unknown[] = []
  let now = 0
  const source = keyServerSource(server.url, (fault) => faults.push(fault), { elapsed: () => now })
  const [byRsa, byEc] = [await rsa.sign(ALICE), await ec.sign(ALICE)]
  t.match(await source.claims(byRsa), { sub: 'alice' })
  server.keys = [ec]
  for (now of [0, 4999]) await t.rejects(source.claims(byEc), REFUSED)
  t.equal(server.requests, 1)
  now = 5000
  t.match(await source.claims(byEc), { sub: 'alice' })
  t.equal(server.requests, 2)

  server.keys = [rsa]
  now = 5000 + 599_999
  t.match(await source.claims(byEc), { sub: 'alice' }, 'not asked for ten minutes')
  now += 1
  await t.rejects(source.claims(byEc), REFUSED, 'withdrawn')
  t.match(await source.claims(byRsa), { sub: 'alice' })
  t.equal(server.requests, 3)

  await server.close()
  now += 3600_000 - 1
  t.match(await source.claims(byRsa), { sub: 'alice' }, 'for an hour')
  await t.rejects(source.claims(byEc), { code: 'overloaded' })
  now += 1
  await t.rejects(source.claims(byRsa), { code: 'overloaded' })
  t.equal(faults.length, 1)
})

t.test('[AUTH-3] of a set of keys only those for signatures of our algorithms count, and none spoils the others', async (t) => {
  const weak = generateKeyPairSync('rsa', { modulusLength: 1024 })
  const input = [{ alg: 'RS256', kid: 'weak' }, ALICE].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')
  const byWeak = `${input}.${sign('RSA-SHA256', Buffer.from(input), weak.privateKey).toString('base64url')}`
  const others = [
    { kty: 'oct', k: Buffer.from(SECRET).toString('base64url'), kid: 'oct' },
    { kty: 'RSA', kid: 'broken' },
    { kty: 'OKP', crv: 'X25519', x: 'AA', kid: 'other' },
    { ...rsa.jwk, kid: 'enc', use: 'enc' },
    { ...rsa.jwk, kid: 'ops', key_ops: ['encrypt'] },
    { ...rsa.jwk, kid: 'alg', alg: 'PS256' },
    { ...rsa.jwk, kid: 5 },
    { ...weak.publicKey.export({ format: 'jwk' }), kid: 'weak' },
  ]
  const server = await startKeyServer(t, [])
  server.answer = { status: 200, body: JSON.stringify({ keys: [...others, { ...ec.jwk, alg: undefined, use: undefined }] }) }
  const read = await reader(t, { jwksUrl: server.url })
  for (const kid of ['enc', 'ops', 'alg', '5', 'broken']) await t.rejects(read(await rsa.sign(ALICE, { kid })), REFUSED, kid)
  await t.rejects(read(byWeak), REFUSED, 'RSA of 1024 bits')
  await t.rejects(read(tokenOf(ALICE, { alg: 'HS256', kid: 'oct' })), REFUSED, 'a secret')
  t.match(await read(await ec.sign(ALICE)), { sub: 'alice' })
  t.equal(server.requests, 1)
})

t.test('[AUTH-1] a public key is PEM or the path of a PEM file; what is no such key stops the start in one sentence', async (t) => {
  const file = join(t.testdir({}), 'key.pem')
  writeFileSync(file, ed.pem)
  for (const text of [file, ed.pem, ed.pem.replaceAll('\n', '\\n')])
    t.match(await publicKeySource(text).claims(await ed.sign(ALICE)), { sub: 'alice' })
  t.same(
    KEYS.map(({ pem }) => publicKeySource(pem).algorithms),
    [['RS256'], ['ES256'], ['EdDSA']],
  )
  const weak = await crypto.subtle.generateKey(
    { name: 'RSASSA-PKCS1-v1_5', modulusLength: 1024, publicExponent: new Uint8Array([1, 0, 1]), hash: 'SHA-256' },
    true,
    ['sign', 'verify'],
  )
  const pemOf = async (format: 'spki' | 'pkcs8', key: typeof weak.publicKey, label: string) => {
    const der = Buffer.from(await crypto.subtle.exportKey(format, key)).toString('base64')
    return `-----BEGIN ${label}-----\n${der}\n-----END ${label}-----`
  }
  const wrong = [
    `${file}.not`,
    '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----',
    await pemOf('spki', weak.publicKey, 'PUBLIC KEY'),
    await pemOf('pkcs8', weak.privateKey, 'PRIVATE KEY'),
    (await newKey('ES384', 'p-384')).pem,
  ]
  for (const text of wrong)
    t.throws(() => publicKeySource(text), { name: 'ConfigError', message: /JWT_PUBLIC_KEY: expected a public key in PEM/ })
})

t.test('[AUTH-4] [ORIGIN-1] a whole hub: keys of a server, a cookie of an allowed page, foreign pages refused', async (t) => {
  const server = await startKeyServer(t, [ec])
  const env = {
    JWT_SECRET: '',
    JWT_JWKS_URL: server.url,
    JWT_AUDIENCE: 'any',
    AUTH_COOKIE: 'session',
    ALLOWED_ORIGINS: 'https://app.example',
  }
  const h = await startHarness(t, { processor: null, env })
  const token = await ec.sign(ALICE)
  const get = (headers: Record<string, string>, query = '') => fetch(`${h.nodes[0]?.http}/api/v2/runs${query}`, { headers })
  const ask = async (headers: Record<string, string>, query?: string) => {
    const response = await get(headers, query)
    return [response.status, ((await response.json()) as { error?: string }).error]
  }
  const origin = 'https://app.example'
  const ok = [200, undefined]
  t.same(await ask({ authorization: `Bearer ${token}` }), ok, 'no page')
  t.same(await ask({ authorization: `Bearer ${token}`, origin }), ok)
  t.same(await ask({ authorization: `Bearer ${tokenOf(ALICE)}` }), [401, 'unauthenticated'], 'no secret is configured')
  for (const cookie of [`session=${token}`, `a=b; session=${token}; c=d`, `session="${token}"`])
    t.same(await ask({ cookie, origin }), ok, cookie.slice(0, 12))
  t.same(await ask({ cookie: `session=${token}` }), [401, 'unauthenticated'], 'a cookie of nobody knows which page')
  t.same(await ask({ cookie: `session2=${token}`, origin }), [401, 'unauthenticated'])
  t.same(await ask({ cookie: `session=${token}`, origin }, '?token=x'), [401, 'unauthenticated'], 'what the page says itself counts first')
  for (const foreign of [
    'https://evil.example',
    'http://app.example',
    'https://app.example:8443',
    'https://app.example.evil',
    'null',
    '',
  ]) {
    const answer = await ask({ authorization: `Bearer ${token}`, cookie: `session=${token}`, origin: foreign })
    t.same(answer, [403, 'forbidden'], `Origin: ${foreign}`)
  }
  t.same(h.faults, [])
})

t.test('[ORIGIN-1] without a list every page may connect with a token, and no cookie counts', async (t) => {
  const h = await startHarness(t, { processor: null })
  const status = async (headers: Record<string, string>) => (await fetch(`${h.nodes[0]?.http}/api/v2/runs`, { headers })).status
  t.equal(await status({ authorization: `Bearer ${h.token()}`, origin: 'https://anywhere.example' }), 200)
  t.equal(await status({ cookie: `session=${h.token()}`, origin: 'https://anywhere.example' }), 401)
})
