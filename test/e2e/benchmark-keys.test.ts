import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { startBenchHarness } from '../support/bench-harness.js'
import { eventually } from '../support/eventually.js'
import { startTestRedis } from '../support/redis.js'
import { deltaOf, openStream, type Script, startEndpoint, steady, writeEvent } from '../support/scripted-endpoint.js'

const KEY = 'top-secret-7Yw3Kd9QmZx2Lp5Vn8'
const MAIN = fileURLToPath(new URL('../../workers/main.js', import.meta.url))

/** What the client library would take from the environment, for whatever endpoint. */
const FOREIGN = {
  OPENAI_CUSTOM_HEADERS: 'Authorization: Bearer of-somebody-else\nX-Extra: 1',
  OPENAI_ORG_ID: 'org',
  OPENAI_API_KEY: 'of-mine',
  OPENAI_LOG: 'debug',
}

/** Repeats the key wherever an answer may carry a text. */
const tellTale: Script = (response, { headers, body }) => {
  const key = String(headers.authorization).replace('Bearer ', '')
  const error = { message: `Your key ${key} (${headers.authorization})`, type: key, param: key, code: key }
  const status = { refused: 401, limited: 429, broken: 500 }[String(body.model)]
  if (status) {
    response.writeHead(status, { 'content-type': 'application/json', 'x-key': key, 'x-request-id': key })
    response.end(JSON.stringify({ error }))
    return
  }
  openStream(response)
  writeEvent(response, { ...deltaOf({ content: `the key is ${key}` }), model: key, id: key })
  if (body.model === 'stream-error') writeEvent(response, { error })
  else if (body.model === 'no-json') writeEvent(response, `{"${key}": `)
  else writeEvent(response, deltaOf({}, key))
  response.end(`data: [DONE] ${key}\n\n`)
}

t.test('[BENCH-7] endpoints that repeat the key wherever they can: it is in nothing that is sent to Redis, stored or logged', async (t) => {
  const endpoint = await startEndpoint(t, tellTale)
  const good = await startEndpoint(t, steady({ tokens: 2, firstMs: 1, everyMs: 1 }))
  const names = ['refused', 'limited', 'broken', 'stream-error', 'no-json', 'finish']
  const providers = [
    { name: 'tell', base_url: endpoint.baseUrl, api_key_env: 'TELL_KEY', models: names.map((name) => ({ name, context_window: 9999 })) },
    { name: 'good', base_url: good.baseUrl, api_key_env: 'TELL_KEY', models: [{ name: 'm', context_window: 9999 }] },
  ]
  const harness = await startBenchHarness(t, { redis: await startTestRedis(t), providers, processor: null })
  // Everything that any process tells Redis, as Redis got it.
  const { hostname, port } = new URL(harness.redis.url)
  const monitor = connect(Number(port), hostname).setEncoding('latin1')
  let commands = ''
  monitor.on('data', (text) => (commands += text))
  t.teardown(() => monitor.destroy())
  monitor.write('MONITOR\r\n')
  await eventually(() => commands.includes('+OK'))

  const { REDIS_URL, REDIS_PREFIX, JWT_SECRET, PROVIDERS_FILE } = harness.config
  const env = {
    ...process.env,
    REDIS_URL,
    REDIS_PREFIX,
    JWT_SECRET,
    PROVIDERS_FILE,
    WORKER_KINDS: 'benchmark',
    LOG_LEVEL: 'trace',
    TELL_KEY: KEY,
    ...FOREIGN,
  }
  const worker = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(worker, 'exit')
  t.teardown(async () => {
    worker.kill('SIGTERM')
    await ended
  })
  let logged = ''
  for (const stream of [worker.stdout, worker.stderr]) stream.on('data', (chunk: Buffer) => (logged += chunk))

  const few = { runs: 1, context_tiers: [0], warmup: 1 }
  const mixed = await harness.bench({ models: [...names.map((name) => `tell/${name}`), 'good/m'], ...few })
  const failing = await harness.bench({ models: ['tell/refused', 'tell/stream-error'], ...few })
  const finals = [await mixed.final(), await failing.final()]
  t.match(finals, [
    { type: 'process_completed', result: { ok: 2, failed: 5 } },
    { type: 'process_failed', code: 'endpoint_error', error: /\*\*\*/ },
  ])
  const codes = mixed.of('process_result').map(({ result }) => result.code ?? result.finish_reason)
  t.same(codes.toSorted(), ['bad_answer', 'length', 'other', 'rate_limited', 'server_error', 'stream_error', 'unauthorized'])
  worker.kill('SIGTERM')
  await ended

  t.match(logged, /worker takes jobs/)
  t.match(commands, /process_completed/)
  const said = JSON.stringify([mixed.messages, failing.messages])
  for (const part of [KEY, KEY.slice(0, 12), KEY.slice(-12)]) {
    t.notOk(said.includes(part), 'no message has it')
    t.notOk(commands.includes(part), 'Redis was never told')
    t.notOk(logged.includes(part), 'it was not logged')
  }
  t.ok(
    endpoint.served.every(({ headers }) => headers.authorization === `Bearer ${KEY}`),
    'and it was really used',
  )
  const sent = new Set(endpoint.served.flatMap(({ headers }) => Object.keys(headers)))
  for (const name of ['x-extra', 'openai-organization', 'openai-project']) t.notOk(sent.has(name), `no ${name} out of the environment`)
})

t.test(
  '[BENCH-1] a worker whose providers are not valid, or whose key is not set, says so in clear lines and does not start',
  async (t) => {
    const harness = await startBenchHarness(t, {
      providers: [
        { name: 'p', base_url: 'http://127.0.0.1:1/v1', api_key_env: 'NOT_SET_ANYWHERE', models: [{ name: 'm', context_window: 1 }] },
      ],
      processor: null,
    })
    const { REDIS_URL, REDIS_PREFIX, JWT_SECRET, PROVIDERS_FILE } = harness.config
    const env = { ...process.env, REDIS_URL, REDIS_PREFIX, JWT_SECRET, PROVIDERS_FILE, LOG_LEVEL: 'silent' }
    const worker = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    worker.stderr.on('data', (chunk: Buffer) => (said += chunk))
    t.same(await once(worker, 'exit'), [1, null])
    t.match(said, /\/providers\/0\/api_key_env: expected the environment variable NOT_SET_ANYWHERE to be set/)
    t.notMatch(said, /\n\s+at /, 'no stack trace')
  },
)
