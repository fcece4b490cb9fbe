import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startCommand } from '../support/command.js'
import { HORN, startHarness } from '../support/harness.js'
import { upgradeStatus } from '../support/hosts.js'
import { Stage } from '../support/stage.js'
import { TestClient } from '../support/test-client.js'

for (const name of ['fastify', 'express']) {
  t.test(`[HOST-2] examples/${name}: a login by cookie, a run, a cancel, and an end in order`, async (t) => {
    const stage = new Stage()
    const h = await startHarness(t, { processor: stage.processor })
    const program = fileURLToPath(new URL(`../../../examples/${name}/server.js`, import.meta.url))
    const env = { PORT: '0', REDIS_URL: h.redis.url, REDIS_PREFIX: h.redis.prefix }
    const server = startCommand(t, process.execPath, [program], { env })
    const [, origin = ''] = await server.printed(/listening at (\S+)/)

    t.match(await (await fetch(origin)).text(), '<title>Runs</title>')
    const json = { 'content-type': 'application/json' }
    const login = (password: string) => {
      return fetch(`${origin}/login`, { method: 'POST', headers: json, body: JSON.stringify({ user: 'alice', password }) })
    }
    t.equal((await login('guess')).status, 401)
    const cookie = (await login('wonderland')).headers.getSetCookie()[0]?.split(';')[0] ?? ''
    t.equal((await fetch(`${origin}/runcast/api/v2/runs`)).status, 401)

    const headers = { cookie, origin, ...json }
    const body = JSON.stringify({ input: HORN })
    const { run_id: id } = (await (await fetch(`${origin}/runcast/api/v2/runs`, { method: 'POST', headers, body })).json()) as {
      run_id: string
    }
    const client = new TestClient(`${origin.replace('http', 'ws')}/runcast/ws`, { cookie, origin })
    t.match(await client.next('process_list'), { processes: [{ process_id: id }] })
    t.equal(
      await upgradeStatus(new TestClient(`${origin.replace('http', 'ws')}/runcast/ws`, { cookie, origin: 'https://evil.example' })),
      403,
    )
    await stage.play(id)
    const cancel = `${origin}/runcast/api/processes/${id}/cancel`
    t.equal((await fetch(cancel, { method: 'POST', headers: { ...headers, origin: 'https://evil.example' }, body: '{}' })).status, 403)
    t.equal((await fetch(cancel, { method: 'POST', headers, body: '{}' })).status, 202, 'with a body, as the page sends it')
    t.match(await client.next('process_cancelled'), { process_id: id })

    server.child.kill('SIGTERM')
    await client.next('drain')
    t.match(await client.closed, { code: 1012 })
    t.match(await server.ended, { code: 0, stderr: '' })
  })
}
