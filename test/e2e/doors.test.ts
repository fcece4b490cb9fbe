import t from 'tap'
import { eventually } from '../support/eventually.js'
import { type Harness, startHarness } from '../support/harness.js'
import { startHub } from '../support/hub-process.js'
import { Stage } from '../support/stage.js'
import { TestClient } from '../support/test-client.js'
import { tokenOf } from '../support/tokens.js'

const seconds = () => Math.floor(Date.now() / 1000)

/** A socket of a user on a node: whether it was let in, or the code with which it was closed. */
async function knock(h: Harness, node: number, sub: string): Promise<{ client: TestClient; answer: number | 'in' }> {
  const client = new TestClient(`${h.nodes[node]?.ws}/ws?token=${h.token(sub)}`)
  h.onTeardown(() => client.terminate())
  const listed = client.next('process_list').then(
    () => 'in' as const,
    () => 0,
  )
  const answer = await Promise.race([listed, client.closed.then(({ code }) => code)])
  return { client, answer }
}

t.test(
  '[LIMIT-1] ten sockets of a user at the same moment on two nodes, 200 times over: exactly five are let in, the others closed with 4008',
  async (t) => {
    const h = await startHarness(t, { nodes: 2, processor: null, env: { MAX_SOCKETS_PER_USER: '5' } })
    for (let round = 0; round < 200; round += 1) {
      const knocks = await Promise.all(Array.from({ length: 10 }, (_, i) => knock(h, i % 2, 'alice')))
      const answers = knocks.map(({ answer }) => answer)
      const isRight = answers.filter((answer) => answer === 'in').length === 5 && answers.filter((answer) => answer === 4008).length === 5
      if (!isRight) t.fail(`round ${round}: ${answers}`)
      await Promise.all(knocks.map(({ client, answer }) => answer === 'in' && client.close()))
      // The shares are given back when the close has been seen.
      await eventually(() => h.nodes.every(({ hub }) => hub.server.sessions.size === 0), { everyMs: 1 })
    }
    t.pass('200 rounds')
    t.same(h.faults, [])
  },
)

t.test('[LIMIT-1] a node that is killed with -9 gives its shares back within 10 s', async (t) => {
  const h = await startHarness(t, { processor: null, env: { MAX_SOCKETS_PER_USER: '5' } })
  const doomed = await startHub(t, h, { MAX_SOCKETS_PER_USER: '5' })
  const clients = Array.from({ length: 5 }, () => new TestClient(`${doomed.ws}/ws?token=${h.token('alice')}`))
  for (const client of clients) await client.next('process_list')
  t.equal((await knock(h, 0, 'alice')).answer, 4008, 'all of them are taken')
  doomed.child.kill('SIGKILL')
  const killedAt = Date.now()
  await eventually(async () => (await knock(h, 0, 'alice')).answer === 'in', { timeoutMs: 40_000, everyMs: 500 })
  t.ok(Date.now() - killedAt < 10_000, `after ${Date.now() - killedAt} ms`)
})

t.test('[REV-3] the sockets of a token that is revoked are gone on both nodes within a second, others stay', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { nodes: 2, processor: stage.processor })
  const id = await h.submit()
  await stage.play(id)
  const claims = { sub: 'alice', iat: seconds() - 60, exp: seconds() + 600 }
  const connect = (token: string) =>
    [0, 1].flatMap((node) => ['/ws', `/api/v2/ws/runs/${id}`].map((path) => new TestClient(`${h.nodes[node]?.ws}${path}?token=${token}`)))
  const revoked = connect(tokenOf({ ...claims, jti: 'the-one' }))
  const kept = connect(tokenOf({ ...claims, jti: 'another' }))
  h.onTeardown(() => {
    for (const client of [...revoked, ...kept]) client.terminate()
  })
  for (const client of [...revoked, ...kept]) await client.next()
  const admin = tokenOf({ sub: 'root', role: 'admin', exp: seconds() + 600 })
  const revoke = (body: object) => h.call('POST', '/api/revocations', { token: admin, body })

  const revokedAt = Date.now()
  t.match(await revoke({ jti: 'the-one' }), { status: 202 })
  for (const client of revoked) t.same(await client.closed, { code: 4001, reason: 'The token has been revoked.' })
  t.ok(Date.now() - revokedAt < 1000, `after ${Date.now() - revokedAt} ms`)
  t.ok(kept.every(({ socket }) => socket.readyState === socket.OPEN))

  const allRevokedAt = Date.now()
  t.match(await revoke({ sub: 'alice' }), { status: 202 })
  for (const client of kept) t.match(await client.closed, { code: 4001 })
  t.ok(Date.now() - allRevokedAt < 1000, `all of a user: after ${Date.now() - allRevokedAt} ms`)
})

t.test('[DRAIN-2] who is let in while the node begins to stop is sent to another one, not away', async (t) => {
  const h = await startHarness(t, { processor: null, env: { MAX_SOCKETS_PER_USER: '1' } })
  t.equal((await knock(h, 0, 'alice')).answer, 'in')
  const late = new TestClient(`${h.nodes[0]?.ws}/ws`)
  h.onTeardown(() => late.terminate())
  await late.opened
  h.nodes[0]?.hub.guards.upgrades.drain()
  late.send({ type: 'auth', token: h.token() })
  t.match(await late.closed, { code: 1012 })
})

t.test('[ORIGIN-1] a page from elsewhere is let in and closed with 4003, before its token is looked at', async (t) => {
  const h = await startHarness(t, { processor: null, env: { ALLOWED_ORIGINS: 'https://runs.example' } })
  const from = (origin: string, token = h.token()) => {
    const client = new TestClient(`${h.nodes[0]?.ws}/ws?token=${token}`, { origin })
    h.onTeardown(() => client.terminate())
    return client
  }
  t.match(await from('https://runs.example').next(), { type: 'process_list' })
  for (const token of [h.token(), 'nonsense']) t.match(await from('https://evil.example', token).closed, { code: 4003 })
})
