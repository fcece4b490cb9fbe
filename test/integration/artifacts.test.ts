import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readdir, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { watchJob } from '../../src/client/watch-job.js'
import { watchProcesses } from '../../src/client/watch-processes.js'
import { createClient, createJobs } from '../../src/index.js'
import { type ArtifactStore, objectOf } from '../../src/storage/artifact-store.js'
import { FolderStore } from '../../src/storage/artifacts/folder-store.js'
import { deferred } from '../../src/worker/deferred.js'
import { implement } from '../../src/worker/implement.js'
import type { Job } from '../../src/worker/processor.js'
import { Claimant, workerToken } from '../support/claimant.js'
import { eventually } from '../support/eventually.js'
import { type Harness, type HarnessOptions, startHarness } from '../support/harness.js'
import { keeper } from '../support/keeper.js'
import { measure, optimize, TWO_OBJECTIVES } from '../support/optimizations.js'
import { solversFile } from '../support/solvers.js'
import { SseClient } from '../support/sse-client.js'
import { type Message, TestClient } from '../support/test-client.js'
import { tokenOf } from '../support/tokens.js'

type Script = (job: Job<'run'>) => Promise<void>

const admin = () =>
  tokenOf({ sub: 'root', role: 'admin', iat: Math.floor(Date.now() / 1000) - 1, exp: Math.floor(Date.now() / 1000) + 600 })
const sha256 = (text: string | Buffer) => createHash('sha256').update(text).digest('hex')

/** A harness whose runs do what their script says. */
async function start(t: Test, options: HarnessOptions = {}) {
  const scripts = new Map<string, Script>()
  const h = await startHarness(t, {
    processor: async (_input, job) => {
      await scripts.get(job.id)?.(job)
      return { metrics_summary: {} }
    },
    ...options,
  })
  let runs = 0
  const run = async (script: Script, { sub = 'alice', id = `run-${++runs}` } = {}) => {
    scripts.set(id, script)
    await h.submit({ id, sub })
    return id
  }
  return { h, run }
}

/** The run when it has ended. */
async function ended(h: Harness, id: string, sub?: string) {
  const { body } = await eventually(
    async () => {
      const answer = await h.call('GET', `/api/v2/runs/${id}`, sub ? { sub } : {})
      return ['completed', 'failed', 'cancelled'].includes(answer.body.status) && answer
    },
    { timeoutMs: 20_000 },
  )
  return body
}

function download(
  h: Harness,
  path: string,
  {
    headers = {},
    method = 'GET',
    token = h.token(),
    node = 0,
  }: { headers?: Record<string, string>; method?: string; token?: string; node?: number } = {},
) {
  return fetch(`${h.nodes[node]?.http}${path}`, { method, redirect: 'manual', headers: { authorization: `Bearer ${token}`, ...headers } })
}

function upload(
  h: Harness,
  id: string,
  name: string,
  body: string | Uint8Array | ReadableStream | undefined,
  query: Record<string, string | number>,
  { token = workerToken(), headers = {}, node = 0 } = {},
) {
  const parameters = new URLSearchParams(Object.entries(query).map(([key, value]): [string, string] => [key, String(value)]))
  return fetch(`${h.nodes[node]?.http}/api/v2/jobs/${id}/artifacts/${name}?${parameters}`, {
    method: 'PUT',
    headers: { authorization: `Bearer ${token}`, ...headers },
    ...(body !== undefined && { body, duplex: 'half' }),
  } as RequestInit)
}

t.test('[ART-1] [ART-2] artifacts of a job are listed and downloaded in every resource', async (t) => {
  const { h, run } = await start(t, { nodes: 2 })
  const id = await run(async (job) => {
    await job.artifact('b.csv', { data: 'x,y\n1,2\n' })
    const folder = await job.folder()
    await writeFile(join(folder, 'model.vtk'), 'old')
    job.artifact('a.vtk', { path: 'model.vtk' })
    await job.artifact('a.vtk', { path: join(folder, 'model.vtk'), mediaType: 'text/plain; charset=utf-8' })
    await job.artifact('dashboard', { url: 'https://example.com/board?run=1', mediaType: 'text/html' })
    await job.artifact('empty', { data: new Uint8Array() })
  })
  t.match(await ended(h, id), { status: 'completed' })
  for (const base of ['/api/v2/runs', '/api/processes', '/api/jobs']) {
    const { status, body } = await h.call('GET', `${base}/${id}/artifacts`, { node: 1 })
    t.equal(status, 200)
    const created_at = /^\d{4}-.*Z$/
    t.match(body.artifacts, [
      {
        name: 'a.vtk',
        media_type: 'text/plain; charset=utf-8',
        bytes: 3,
        sha256: sha256('old'),
        url: `${base}/${id}/artifacts/a.vtk`,
        created_at,
      },
      { name: 'b.csv', media_type: 'text/csv', bytes: 8, sha256: sha256('x,y\n1,2\n') },
      { name: 'dashboard', media_type: 'text/html', bytes: null, sha256: null, url: 'https://example.com/board?run=1' },
      { name: 'empty', media_type: 'application/octet-stream', bytes: 0, sha256: sha256('') },
    ])
    t.equal(body.artifacts.length, 4)
    const answer = await download(h, body.artifacts[1].url, { node: 1 })
    t.equal(answer.status, 200)
    t.equal(await answer.text(), 'x,y\n1,2\n')
    t.match(Object.fromEntries(answer.headers), {
      'content-type': 'application/octet-stream',
      'content-length': '8',
      'content-disposition': 'attachment; filename="b.csv"',
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'; frame-ancestors 'none'",
      'cache-control': 'private, no-cache',
      'accept-ranges': 'bytes',
      etag: `"${sha256('x,y\n1,2\n')}"`,
    })
    t.match(await h.call('GET', `${base}/${id}/artifacts/none`), { status: 404, body: { error: 'not_found' } })
    t.match(await h.call('GET', `${base}/${id}/artifacts/dashboard`), { status: 404, body: { message: /link to https:/ } })
    t.match(await h.call('GET', `${base}/nobody/artifacts`), { status: 404 })
    t.equal(await (await download(h, `${base}/${id}/artifacts/empty`)).text(), '')
  }
  t.same(h.faults, [])
})

/** The artifacts that a client has by its messages, and fails for a message that leaves out one. */
function listOf(messages: readonly Message[]) {
  let epoch: string | undefined
  let n = 0
  let list = new Map<string, Message>()
  for (const message of messages) {
    if (!/^(process_)?artifacts?$/.test(message.type)) continue
    if ('seq' in message) throw new Error('a message about artifacts has no seq')
    if ('artifacts' in message) list = new Map(message.artifacts.map((artifact: Message) => [artifact.name, artifact]))
    else {
      if (message.epoch !== epoch || message.n !== n + 1) throw new Error(`artifact ${message.n} after ${n}`)
      const { type: _type, run_id: _run, process_id: _id, process_type: _process, epoch: _epoch, ...artifact } = message
      list.delete(artifact.name)
      list.set(artifact.name, artifact)
    }
    epoch = message.epoch
    n = message.n
  }
  return { n, list: [...list.values()] }
}

t.test('[ART-11] live, late, resumed and slow viewers end with the list of artifacts that REST has', async (t) => {
  const { h, run } = await start(t, { nodes: 2, env: { MAX_ARTIFACTS: '200' } })
  const [opened, stored] = [deferred(), deferred()]
  let attempts = 0
  const id = await run(async (job) => {
    attempts += 1
    if (attempts === 1) await job.artifact('gone.txt', { data: 'of the first attempt' })
    await opened.promise
    if (attempts === 1) throw new Error('once more')
    for (let i = 0; i < 20; i += 1) await job.artifact(`${i % 12}.txt`, { data: `${i}` })
    await job.artifact('board', { url: 'https://example.com/board' })
    await stored.promise
    await job.artifact('last.csv', { data: 'x' })
  })
  const told: string[] = []
  const watch = watchJob({
    url: `${h.nodes[1]?.ws}/api/v2/ws/runs/${id}`,
    token: async () => h.token(),
    WebSocket,
    onArtifact: ({ name }) => told.push(name),
  })
  t.teardown(() => watch.close())
  const live = await h.connect(id, { query: 'artifacts=1' })
  const slow = await h.connect(id, { query: 'artifacts=1', node: 1 })
  const cut = await h.connect(id, { query: 'artifacts=1' })
  const plain = await h.connect(id)
  await eventually(() => [live, slow, cut].every(({ messages }) => listOf(messages).n === 1) && watch.artifacts.size === 1)
  const [first] = live.messages.filter(({ type }) => type.startsWith('artifact'))
  t.match(first, { type: 'artifacts', run_id: id }, 'the list is the first message about them')
  t.match(listOf(live.messages).list, [{ name: 'gone.txt', media_type: 'text/plain', bytes: 20, sha256: String, n: 1 }])
  slow.pause()
  cut.terminate()
  opened.resolve()
  await eventually(() => live.messages.some(({ type, artifacts }) => type === 'artifacts' && artifacts.length === 0), { timeoutMs: 20_000 })
  t.pass('another attempt has an empty list')
  await eventually(() => listOf(live.messages).n === 21, { timeoutMs: 20_000 })
  slow.resume()
  stored.resolve()
  t.match(await ended(h, id), { status: 'completed', attempt: 2 })
  const late = await h.connect(id, { query: 'artifacts=1', node: 1 })
  const { epoch, seq } = cut.messages.find(({ type }) => type === 'status') ?? {}
  const resumed = await h.connect(id, { query: `artifacts=1&after=${seq}&epoch=${epoch}` })
  const { body } = await h.call('GET', `/api/jobs/${id}/artifacts`)
  t.equal(body.artifacts.length, 14)
  for (const [name, client] of Object.entries({ live, slow, late, resumed })) {
    await eventually(() => listOf(client.messages).n === 22)
    const list = listOf(client.messages).list.map(({ n: _n, ...artifact }) => artifact)
    t.same(
      list.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
      body.artifacts,
      name,
    )
  }
  await eventually(() => watch.artifacts.size === 14)
  t.equal(told.length, 23, 'each once')
  t.equal(watch.artifacts.get('last.csv')?.bytes, 1)
  t.notOk(watch.artifacts.has('gone.txt'))
  t.same(plain.messages.filter(({ type }) => type.includes('artifact')), [], 'nobody else gets any') // biome-ignore format: one line
  t.same(h.faults, [])
})

t.test('[ART-11] [PROC-10] both dialects, streams, a claim over HTTP and clients tell of artifacts', async (t) => {
  const { h } = await start(t, { processor: null })
  const claimant = new Claimant(h)
  const id = await h.submit({ id: 'claimed' })
  const authorization = `Bearer ${h.token()}`
  const events = new SseClient(`${h.nodes[0]?.http}/api/processes/${id}/events?artifacts=1`, { headers: { authorization } })
  const all = new SseClient(`${h.nodes[0]?.http}/api/processes/events?artifacts=1`, { headers: { authorization } })
  const user = new TestClient(`${h.nodes[0]?.ws}/ws?token=${h.token()}`)
  for (const client of [events, all, user]) h.onTeardown(() => client.terminate())
  await user.opened
  user.send({ type: 'subscribe', process_id: id, dialect: 'run', artifacts: true })
  const heard: unknown[] = []
  const healths: unknown[] = []
  const processes = watchProcesses({
    url: `${h.nodes[0]?.ws}/ws`,
    token: async () => h.token(),
    WebSocket,
    onArtifact: (...args) => heard.push(args),
    onLog: (...args) => heard.push(args),
    onHealth: (...args) => healths.push(args),
  })
  t.teardown(() => processes.close())
  processes.subscribe(id, { artifacts: true, log: true, health: true })
  const jobs = createJobs({ redisUrl: h.redis.url, redisPrefix: h.redis.prefix })
  t.teardown(() => jobs.close())
  const messages: Message[] = []
  const watching = (async () => {
    for await (const message of jobs.watch(id, { log: true, artifacts: true })) messages.push(message)
  })()
  const lists = () => [events, all, user].map(({ messages }) => messages.find(({ type }) => /artifacts$/.test(type)))
  await eventually(() => lists().every(Boolean) && heard.length > 0 && messages.some(({ type }) => type === 'artifacts'))
  await claimant.claim()
  const { round, token: claim_token } = claimant.job
  t.equal((await upload(h, id, 'a.csv', 'x', { round, claim_token })).status, 201)
  t.equal((await upload(h, id, 'b', undefined, { round, claim_token, url: 'https://example.com/b' })).status, 201)
  await claimant.post([{ type: 'log', line: 'a line' }, { type: 'completed', metrics_summary: {} }]) // biome-ignore format: one line
  await watching
  t.same(healths, [[id, { health: 'ok', since: null }]])
  const of = (type: string, found: readonly Message[]) => found.filter((message) => message.type === type)
  for (const client of [events, all]) {
    await eventually(() => of('process_artifact', client.messages).length === 2)
    t.match(of('process_artifact', client.messages), [
      { process_id: id, process_type: 'solver', n: 1, name: 'a.csv', url: `/api/jobs/${id}/artifacts/a.csv` },
      { n: 2, name: 'b', bytes: null, url: 'https://example.com/b' },
    ])
  }
  t.match(of('artifact', user.messages), [{ run_id: id, name: 'a.csv' }, { name: 'b' }])
  t.match(of('artifact', messages), [{ run_id: id, name: 'a.csv' }, { name: 'b' }])
  t.match(of('log', messages).at(-1), { end: true })
  t.equal(of('log', messages).flatMap(({ lines }) => lines).length, 1) // biome-ignore format: one line
  t.equal(of('completed', messages).length, 1)
  await eventually(() => heard.some((args) => Array.isArray(args) && args[2]?.isComplete === true))
  t.match([...processes.artifacts(id).keys()], ['a.csv', 'b'])
  t.match(heard.filter((args) => Array.isArray(args) && !Array.isArray(args[1])), [[id, { name: 'a.csv', bytes: 1 }], [id, { name: 'b' }]]) // biome-ignore format: one line
  t.match(heard.flatMap((args) => (Array.isArray(args) && Array.isArray(args[1]) ? args[1] : [])), [{ n: 1, text: 'a line' }]) // biome-ignore format: one line
  t.same(h.faults, [])
})

t.test('[ART-2] ranges, ETags and HEAD', async (t) => {
  const { h, run } = await start(t)
  const id = await run((job) => job.artifact('digits', { data: '0123456789' }))
  await ended(h, id)
  const path = `/api/jobs/${id}/artifacts/digits`
  const etag = `"${sha256('0123456789')}"`
  for (const [range, text, shown] of [
    ['bytes=2-4', '234', 'bytes 2-4/10'],
    ['bytes=7-', '789', 'bytes 7-9/10'],
    ['bytes=-2', '89', 'bytes 8-9/10'],
    ['bytes=-20', '0123456789', 'bytes 0-9/10'],
    ['bytes=9-99', '9', 'bytes 9-9/10'],
  ] as const) {
    const answer = await download(h, path, { headers: { range } })
    t.equal(answer.status, 206, range)
    t.equal(answer.headers.get('content-range'), shown)
    t.equal(await answer.text(), text)
  }
  for (const range of ['bytes=10-', 'bytes=-0', 'bytes=99-100']) {
    const answer = await download(h, path, { headers: { range } })
    t.equal(answer.status, 416, range)
    t.equal(answer.headers.get('content-range'), 'bytes */10')
    t.match(await answer.json(), { error: 'range', message: 'The content has 10 bytes.' })
  }
  for (const range of ['bytes=4-2', 'bytes=0-1,3-4', 'lines=1-2', 'bytes=-'])
    t.equal(await (await download(h, path, { headers: { range } })).text(), '0123456789', range)
  t.equal((await download(h, path, { headers: { range: 'bytes=1-2', 'if-range': etag } })).status, 206)
  t.equal((await download(h, path, { headers: { range: 'bytes=1-2', 'if-range': '"other"' } })).status, 200)
  for (const known of [etag, `W/"x", ${etag}`, '*']) {
    const answer = await download(h, path, { headers: { 'if-none-match': known } })
    t.equal(answer.status, 304, known)
    t.equal(await answer.text(), '')
  }
  const head = await download(h, path, { method: 'HEAD' })
  t.same([head.status, head.headers.get('content-length'), head.headers.get('etag')], [200, '10', etag])
})

t.test('[ART-2] a download of an artifact that is replaced meanwhile is the new one; HEAD gets no link', async (t) => {
  const { h, run } = await start(t)
  const [isRead, isReplaced] = [deferred(), deferred()]
  const id = await run(async (job) => {
    await job.artifact('a', { data: 'old' })
    await isRead.promise
    await job.artifact('a', { data: 'newer' })
    isReplaced.resolve()
  })
  const path = `/api/jobs/${id}/artifacts/a`
  await eventually(async () => (await download(h, path, { method: 'HEAD' })).status === 200)
  const store = h.nodes[0]?.hub.parts.artifacts.store
  if (!store) throw new Error('no node')
  const open = store.open.bind(store)
  store.open = async (object, range) => {
    isRead.resolve()
    await isReplaced.promise
    return open(object, range)
  }
  const answer = await download(h, path)
  t.same([answer.status, await answer.text(), answer.headers.get('etag')], [200, 'newer', `"${sha256('newer')}"`])
  store.link = async () => 'https://example.com/signed'
  t.match([await download(h, path)].map(({ status, headers }) => [status, headers.get('location')]), [[302, 'https://example.com/signed']]) // biome-ignore format: one line
  const head = await download(h, path, { method: 'HEAD' })
  t.same([head.status, head.headers.get('content-length'), head.headers.get('location')], [200, '5', null])
  t.same(h.faults, [])
})

t.test('[ART-7] the open downloads of a user on a hub are bounded', async (t) => {
  const { h, run } = await start(t)
  const id = await run((job) => job.artifact('a', { data: 'a' }))
  await ended(h, id)
  const path = `/api/jobs/${id}/artifacts/a`
  const downloaders = h.nodes[0]?.hub.parts.artifacts.downloaders
  if (!downloaders) throw new Error('no node')
  for (let open = 1; open < downloaders.max; open += 1) downloaders.enter('alice')
  const leave = await eventually(async () => {
    t.equal(await (await download(h, path)).text(), 'a', 'the last one is free again after each download')
    t.equal((await download(h, `${path}.none`)).status, 404)
    return downloaders.enter('alice')
  })
  const refused = await download(h, path)
  t.match([refused.status, refused.headers.get('retry-after'), await refused.json()], [429, '1', { error: 'rate_limited' }])
  t.equal((await download(h, path, { token: admin() })).status, 200, 'others are not concerned')
  leave()
  t.equal((await download(h, path)).status, 200)
  t.same(h.faults, [])
})

t.test('[ART-1] only owner and admin see artifacts; workers and strangers do not', async (t) => {
  const { h, run } = await start(t)
  const id = await run((job) => job.artifact('secret.txt', { data: 'mine' }))
  await ended(h, id)
  for (const base of ['/api/v2/runs', '/api/processes', '/api/jobs']) {
    for (const path of [`${base}/${id}/artifacts`, `${base}/${id}/artifacts/secret.txt`]) {
      const statusFor = async (token: string | null) => {
        const answer = await fetch(`${h.nodes[0]?.http}${path}`, { headers: token === null ? {} : { authorization: `Bearer ${token}` } })
        if (answer.status >= 400) t.notMatch(await answer.text(), /mine|secret/)
        return answer.status
      }
      t.equal(await statusFor(h.token('alice')), 200, `owner ${path}`)
      t.equal(await statusFor(admin()), 200, `admin ${path}`)
      t.equal(await statusFor(h.token('mallory')), 404, `another user ${path}`)
      t.equal(await statusFor(workerToken()), 403, `worker ${path}`)
      t.equal(await statusFor(null), 401, `nobody ${path}`)
    }
  }
  for (const kind of ['optimizations', 'runs'])
    t.equal((await download(h, `/api/v2/${kind}/${id}/artifacts`)).status, kind === 'runs' ? 200 : 404, 'only under its own kind')
})

t.test('[ART-3] artifacts belong to the attempt, and go with the job', async (t) => {
  const { h, run } = await start(t, { env: { FINAL_TTL_MS: '1500', SWEEP_INTERVAL_MS: '100' } })
  let attempts = 0
  const script: Script = async (job) => {
    attempts += 1
    if (attempts === 1) {
      await job.artifact('first.txt', { data: 'of the first attempt' })
      throw new Error('once more')
    }
    await job.artifact('second.txt', { data: 'of the second attempt' })
  }
  const id = await run(script, { id: 'reused' })
  t.match(await ended(h, id), { status: 'completed', attempt: 2 })
  t.match((await h.call('GET', `/api/jobs/${id}/artifacts`)).body.artifacts, [{ name: 'second.txt' }])
  t.match(await h.call('GET', `/api/jobs/${id}/artifacts/first.txt`), { status: 404 })
  const files = async () => (await readdir(h.config.ARTIFACTS_DIR, { recursive: true })).filter((name) => name.includes('~'))
  t.equal((await files()).length, 1, 'the artifact of the first attempt is removed')

  await eventually(async () => (await h.call('GET', `/api/jobs/${id}`)).status === 404, { timeoutMs: 10_000 })
  t.match(await h.call('GET', `/api/jobs/${id}/artifacts`), { status: 404 })
  await run(async () => {}, { id: 'reused', sub: 'bob' })
  t.match(await ended(h, id, 'bob'), { status: 'completed' })
  t.same((await h.call('GET', `/api/jobs/${id}/artifacts`, { sub: 'bob' })).body.artifacts, [], 'nothing of the job before it')
  t.match(await h.call('GET', `/api/jobs/${id}/artifacts/second.txt`, { sub: 'bob' }), { status: 404 })
  await eventually(async () => (await files()).length === 0, { timeoutMs: 10_000 })
  await eventually(
    async () => {
      const { redis } = h
      const { commands } = h.nodes[0]?.hub.parts.broker ?? {}
      return (await commands?.keys(`${redis.prefix}*artifacts*`))?.every((key) => /:(store|sweeper|reconciled)$/.test(key))
    },
    { timeoutMs: 10_000 },
  )
  t.same(h.faults, [])
})

t.test('[ART-4] a path must be a regular file in the folder of the job', async (t) => {
  const { h, run } = await start(t)
  const folders: string[] = []
  const attempt = (act: (job: Job<'run'>, folder: string) => Promise<void>) =>
    run(async (job) => {
      const folder = await job.folder()
      folders.push(folder)
      t.same(await readdir(folder), [])
      await act(job, folder)
    })
  const cases: [string, (job: Job<'run'>, folder: string) => Promise<void>][] = [
    [
      "artifact: path link: expected a file in the job's own folder, after links are resolved",
      async (job, folder) => {
        await symlink('/etc/passwd', join(folder, 'link'))
        await job.artifact('passwd', { path: 'link' })
      },
    ],
    [
      "artifact: path up/passwd: expected a file in the job's own folder, after links are resolved",
      async (job, folder) => {
        await symlink('/etc', join(folder, 'up'))
        await job.artifact('passwd', { path: 'up/passwd' })
      },
    ],
    [
      "artifact: path /etc/passwd: expected a file in the job's own folder, after links are resolved",
      (job) => job.artifact('passwd', { path: '/etc/passwd' }),
    ],
    ['artifact: path none: expected an existing file', (job) => job.artifact('x', { path: 'none' })],
    [
      'artifact: path pipe: expected a regular file',
      async (job, folder) => {
        const { execFileSync } = await import('node:child_process')
        execFileSync('mkfifo', [join(folder, 'pipe')])
        await job.artifact('x', { path: 'pipe' })
      },
    ],
    [
      'artifact: name: expected 1 to 128 of A-Z a-z 0-9 . _ -, beginning with a letter or digit',
      (job) => job.artifact('../x', { data: 'x' }),
    ],
    [
      'artifact: url: expected an http:// or https:// URL without credentials, of at most 2048 characters',
      (job) => job.artifact('x', { url: 'javascript:alert(1)' }),
    ],
    [
      'artifact: media_type: expected a media type such as text/csv',
      (job) => job.artifact('x', { data: '', mediaType: 'text/csv\r\nx: y' }),
    ],
    // A failure counts although nobody waits for it.
    ['artifact: path late: expected an existing file', async (job) => void job.artifact('late', { path: 'late' })],
  ]
  const ids = await Promise.all(cases.map(([, act]) => attempt(act)))
  for (const [i, id] of ids.entries()) {
    t.match(await ended(h, id), { status: 'failed', attempt: 1, result: { code: 'solver_error', error: cases[i]?.[0] ?? '' } })
  }
  const optional = await attempt((job) => job.artifact('x', { path: 'none', optional: true }))
  t.match(await ended(h, optional), { status: 'completed' })
  const inside = await attempt(async (job, folder) => {
    await writeFile(join(folder, 'real'), 'inside')
    await symlink('real', join(folder, 'alias'))
    await job.artifact('x', { path: 'alias' })
  })
  t.match(await ended(h, inside), { status: 'completed' })
  for (const folder of folders) await eventually(async () => !(await readdir(folder).catch(() => null)))
  t.same(h.faults, [])
})

t.test('[ART-6] a worker over HTTP adds artifacts to the job that it has claimed', async (t) => {
  const { h } = await start(t, { nodes: 2, processor: null })
  const id = await h.submit()
  const claimant = new Claimant(h)
  await claimant.claim()
  const { round, token } = claimant.job
  const query = { round, claim_token: token }
  const stored = await upload(h, id, 'a.csv', Buffer.from('a,b\n'), query)
  t.equal(stored.status, 201)
  t.match(await stored.json(), {
    name: 'a.csv',
    media_type: 'text/csv',
    bytes: 4,
    sha256: sha256('a,b\n'),
    url: `/api/jobs/${id}/artifacts/a.csv`,
  })
  t.match(
    await (await upload(h, id, 'a.csv', 'newer', query, { headers: { 'content-type': 'text/tab-separated-values' }, node: 1 })).json(),
    {
      media_type: 'text/tab-separated-values',
      bytes: 5,
    },
  )
  t.equal((await upload(h, id, 'nothing', undefined, query)).status, 201)
  t.match(await (await upload(h, id, 'link', undefined, { ...query, url: 'https://example.com/x' })).json(), {
    bytes: null,
    url: 'https://example.com/x',
  })
  t.equal(await (await download(h, `/api/jobs/${id}/artifacts/a.csv`, { node: 1 })).text(), 'newer')
  const refusals: [number, string, Promise<Response>][] = [
    [422, 'invalid', upload(h, id, 'link', undefined, { ...query, url: 'file:///etc/passwd' })],
    [422, 'invalid', upload(h, id, '.x', 'x', query)],
    [422, 'invalid', upload(h, id, 'x', 'x', { round })],
    [422, 'invalid', upload(h, id, 'x', 'x', { ...query, other: 1 })],
    [422, 'invalid', upload(h, id, 'x', 'x', { ...query, media_type: 'nonsense' })],
    [409, 'stale_writer', upload(h, id, 'x', 'x', { round, claim_token: token + 1 })],
    [409, 'stale_writer', upload(h, id, 'x', 'x', { round: round + 1, claim_token: token })],
    [409, 'stale_writer', upload(h, id, 'x', 'x', query, { token: workerToken('worker-2') })],
    [404, 'not_found', upload(h, 'nobody', 'x', 'x', query)],
    [403, 'forbidden', upload(h, id, 'x', 'x', query, { token: h.token('alice') })],
    [403, 'forbidden', upload(h, id, 'x', 'x', query, { token: admin() })],
    [401, 'unauthenticated', upload(h, id, 'x', 'x', query, { token: 'x' })],
  ]
  for (const [status, error, answer] of refusals) t.match([(await answer).status, await (await answer).json()], [status, { error }], error)
  await claimant.post([{ type: 'completed', metrics_summary: {} }])
  t.match(await ended(h, id), { status: 'completed' })
  t.equal((await upload(h, id, 'late', 'x', query)).status, 409)
  t.match(
    (await h.call('GET', `/api/jobs/${id}/artifacts`)).body.artifacts.map(({ name }: { name: string }) => name),
    ['a.csv', 'link', 'nothing'],
  )
  t.same(h.faults, [])
})

t.test('[ART-6] content that arrives keeps the lease; a lost lease ends the upload', async (t) => {
  const { h } = await start(t, { processor: null, env: { WORKER_LOCK_MS: '1000' } })
  const id = await h.submit()
  const claimant = new Claimant(h)
  await claimant.claim()
  const { round, token } = claimant.job
  let pieces = 0
  const slow = new ReadableStream({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      pieces += 1
      if (pieces > 30) controller.close()
      else controller.enqueue(Buffer.alloc(100, 'x'))
    },
  })
  const answer = await upload(h, id, 'slow', slow, { round, claim_token: token })
  t.match([answer.status, await answer.json()], [201, { bytes: 3000 }])
  t.match(await claimant.post([]), { status: 200 })
})

t.test('[ART-7] limits hold before and during an upload', async (t) => {
  const env = {
    MAX_ARTIFACT_BYTES: '1000',
    MAX_ARTIFACTS: '3',
    MAX_ARTIFACT_BYTES_PER_JOB: '2000',
    MAX_ARTIFACT_BYTES_PER_USER: '3000',
    MAX_ARTIFACTS_PER_USER: '5',
  }
  const { h } = await start(t, { processor: null, env })
  const claim = async () => {
    const id = await h.submit()
    const claimant = new Claimant(h)
    await claimant.claim()
    const { round, token } = claimant.job
    const store = async (name: string, bytes: number, isSized = true) => {
      const content = Buffer.alloc(bytes)
      const body = isSized ? content : new Blob([content]).stream()
      const answer = await upload(h, id, name, body, { round, claim_token: token })
      return [answer.status, await answer.json()]
    }
    return { id, store }
  }
  const first = await claim()
  for (const isSized of [true, false])
    t.match(await first.store('a', 1001, isSized), [
      413,
      { error: 'too_big', message: /^artifact a: .* exceeds MAX_ARTIFACT_BYTES \(1000\)$/ },
    ])
  t.match(await first.store('a', 1000), [201])
  t.match(await first.store('b', 900, false), [201])
  for (const isSized of [true, false])
    t.match(await first.store('c', 101, isSized), [413, { message: /MAX_ARTIFACT_BYTES_PER_JOB \(2000\)/ }])
  t.match(await first.store('a', 1), [201], 'the same name again replaces it')
  t.match(await first.store('c', 1), [201])
  t.match(await first.store('d', 1), [413, { message: /one more exceeds MAX_ARTIFACTS \(3\)/ }])
  const second = await claim()
  t.match(await second.store('a', 1000), [201])
  t.match(await second.store('b', 999), [201])
  const third = await claim()
  t.match(await third.store('a', 200), [429, { error: 'quota', message: /MAX_ARTIFACTS_PER_USER \(5\)/ }])
  t.match(await second.store('b', 1), [429, { message: /MAX_ARTIFACTS_PER_USER/ }], 'a replacement counts beside what it replaces')
  const files = (await readdir(h.config.ARTIFACTS_DIR, { recursive: true })).filter((name) => name.includes('~'))
  t.equal(files.length, 5, 'nothing else is left')
  t.same(h.faults, [])
})

t.test('[ART-8] uploads are refused where hub and worker do not share the store', async (t) => {
  const { h, run } = await start(t)
  const id = await run((job) => job.artifact('a', { data: 'a' }))
  t.match(await ended(h, id), { status: 'completed' })
  const other = await startHarness(t, {
    redis: h.redis,
    processor: async (_input, job) => {
      await job.artifact('b', { data: 'b' })
      return { metrics_summary: {} }
    },
  })
  await h.worker?.close()
  const failed = await other.submit()
  t.match(await ended(other, failed), {
    status: 'failed',
    result: { error: /the folder .*\(ARTIFACTS_DIR\) has no marker, so it is not the store of the other hubs and workers/ },
  })
})

t.test('[ART-4] a thread stores artifacts, and hears of a failure', async (t) => {
  const h = await startHarness(t, {
    work: [implement(keeper, { thread: new URL('../support/keeper-thread.js', import.meta.url) })],
    env: { WORKER_KINDS: 'keeper' },
  })
  const submit = async (script: string) => {
    const { body } = await h.call('POST', '/api/v2/keepers', { body: { input: { script } } })
    const id: string = body.keeper_id
    const { body: state } = await eventually(async () => {
      const answer = await h.call('GET', `/api/v2/keepers/${id}`)
      return ['completed', 'failed'].includes(answer.body.status) && answer
    })
    return { id, state, list: (await h.call('GET', `/api/jobs/${id}/artifacts`)).body.artifacts }
  }
  const { id, state, list } = await submit('store')
  t.match(state, { status: 'completed' })
  t.match(list, [
    { name: 'data.bin', bytes: 3 },
    { name: 'file.txt', bytes: 5 },
    { name: 'late.txt', bytes: 4 },
  ])
  t.equal(await (await download(h, `/api/jobs/${id}/artifacts/file.txt`)).text(), 'file!')
  t.match((await submit('fail')).state, {
    status: 'failed',
    attempt: 1,
    result: { error: /^artifact: path none: expected an existing file/ },
  })
  t.same(h.faults, [])
})

t.test('[ART-5] a program stores files of its folder', async (t) => {
  const script = (text: string) => ({ command: process.execPath, args: ['-e', text] })
  const say = (...events: object[]) => events.map((event) => `console.log(${JSON.stringify(JSON.stringify(event))})`).join(';')
  const done = { type: 'completed', metrics_summary: {} }
  const fs = `const { writeFileSync, symlinkSync, readdirSync } = require('node:fs'); const dir = process.env.RUNCAST_RUN_DIR; process.chdir(dir); if (readdirSync('.').length) process.exit(9);`
  const SOLVERS_FILE = solversFile(
    t,
    {
      name: 'stores',
      ...script(
        `${fs} writeFileSync('a.csv', 'a,b'); ${say({ type: 'artifact', path: 'a.csv' }, { type: 'artifact', path: 'a.csv', name: 'b.txt', media_type: 'text/x-b' }, { type: 'artifact', url: 'https://example.com', name: 'link' }, done)}`,
      ),
    },
    { name: 'escapes', ...script(`${fs} symlinkSync('/etc/passwd', 'passwd'); ${say({ type: 'artifact', path: 'passwd' }, done)}`) },
    { name: 'nameless', ...script(say({ type: 'artifact', path: 'x', name: '../x' }, done)) },
    { name: 'empty', ...script(say({ type: 'artifact' }, done)) },
  )
  const h = await startHarness(t, { env: { SOLVERS_FILE } })
  const run = async (solver: string) => {
    const { body } = await h.call('POST', '/api/v2/runs', { body: { solver, input: {} } })
    return { id: body.run_id, state: await ended(h, body.run_id) }
  }
  const { id, state } = await run('stores')
  t.match(state, { status: 'completed' })
  t.match((await h.call('GET', `/api/v2/runs/${id}/artifacts`)).body.artifacts, [
    { name: 'a.csv', media_type: 'text/csv', bytes: 3 },
    { name: 'b.txt', media_type: 'text/x-b' },
    { name: 'link', url: 'https://example.com' },
  ])
  t.match((await run('escapes')).state, {
    status: 'failed',
    result: { error: /^artifact: path passwd: expected a file in the job's own folder/ },
  })
  t.match((await run('nameless')).state, {
    status: 'failed',
    result: { error: /^Line 1 of stdout is a artifact that is not valid: \/name/ },
  })
  t.match((await run('empty')).state, { status: 'failed', result: { error: /expected path, or url and name/ } })
})

t.test('[ART-9] what no job refers to is removed, of the own prefix only', async (t) => {
  const { h, run } = await start(t)
  const id = await run((job) => job.artifact('kept', { data: 'kept' }))
  await ended(h, id)
  const hub = h.nodes[0]?.hub
  if (!hub) throw new Error('no node')
  const { store } = hub.parts.artifacts
  const other = new FolderStore({ folder: h.config.ARTIFACTS_DIR, prefix: 'other', database: 0 })
  const [kept] = (await listed(store)) as [string]
  const generation = kept.split('/')[1] ?? ''
  const lost = [objectOf(id, generation, 'kept', '0'.repeat(16)), objectOf('nobody', '0'.repeat(12), 'x', '1'.repeat(16))]
  async function* text() {
    yield Buffer.from('x')
  }
  for (const object of lost) {
    await store.put(object, text())
    await other.put(object, text())
  }
  await hub.parts.artifactSweeper.reconcile(Date.now() - 60_000)
  t.equal((await listed(store)).length, 3, 'young objects stay')
  await hub.parts.artifactSweeper.reconcile(Date.now() + 60_000)
  t.same(await listed(store), [kept])
  t.equal((await listed(other)).length, 2)
})

t.test('[ART-10] evaluations store nothing unless they should', async (t) => {
  for (const EVALUATION_ARTIFACTS of ['no', 'yes']) {
    const h = await startHarness(t, {
      env: { WORKER_KINDS: 'run,optimization', EVALUATION_ARTIFACTS },
      processor: async (input, job) => {
        await job.artifact('x', { data: 'x' })
        return { metrics_summary: measure(input) }
      },
    })
    const id = await optimize(h, 'search', { ...TWO_OBJECTIVES, population: 4, generations: 1 })
    await eventually(async () => (await h.call('GET', `/api/jobs/${id}`)).body.status === 'completed')
    const { iterations } = (await h.call('GET', `/api/v2/optimizations/${id}/iterations`)).body
    const { artifacts } = (await h.call('GET', `/api/jobs/${iterations[0].run_id}/artifacts`)).body
    t.equal(artifacts.length, EVALUATION_ARTIFACTS === 'yes' ? 1 : 0)
  }
})

t.test('[ART-1] [ART-2] a client lists and downloads, over Redis and over hubs that break off', async (t) => {
  const { h, run } = await start(t, { nodes: 2 })
  const data = randomBytes(3_000_000)
  const id = await run(async (job) => {
    await job.artifact('big.bin', { data })
    await job.artifact('link', { url: 'https://example.com/' })
  })
  await ended(h, id)
  const cuts = [1_000_000, 1_500_000]
  const seen: string[] = []
  // A load balancer whose connections break off, each to another hub.
  const proxy = createServer(async (request, response) => {
    const node = h.nodes[seen.length % 2]
    const { authorization, range = '', 'if-range': ifRange } = request.headers
    const isDownload = request.url?.endsWith('big.bin')
    if (isDownload) seen.push(range)
    const answer = await fetch(`${node?.http}${request.url}`, {
      headers: { ...(authorization && { authorization }), ...(range && { range }), ...(ifRange && { 'if-range': String(ifRange) }) },
    })
    response.writeHead(answer.status, Object.fromEntries(answer.headers))
    const body = Buffer.from(await answer.arrayBuffer())
    const cut = isDownload ? cuts.shift() : undefined
    if (cut === undefined) response.end(body)
    else response.write(body.subarray(0, cut), () => response.destroy())
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => proxy.close())
  const url = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const overRedis = createClient({
    redis: { url: h.redis.url, prefix: h.redis.prefix },
    owner: 'alice',
    artifactsDir: h.config.ARTIFACTS_DIR,
  })
  const overHub = createClient({ url, token: h.token() })
  const stranger = createClient({ url, token: h.token('mallory') })
  for (const client of [overRedis, overHub, stranger]) t.teardown(() => client.close())
  const [mine, theirs] = await Promise.all([overRedis, overHub].map((client) => client.job(id).artifacts()))
  t.match(theirs, [
    { name: 'big.bin', mediaType: 'application/octet-stream', bytes: 3_000_000, url: `${url}/api/jobs/${id}/artifacts/big.bin` },
    { name: 'link', bytes: null, url: 'https://example.com/' },
  ])
  t.same(
    mine?.map(({ url: _url, ...rest }) => rest),
    theirs?.map(({ url: _url, ...rest }) => rest),
  )
  for (const client of [overRedis, overHub]) {
    const pieces: Uint8Array[] = []
    for await (const piece of client.job(id).download('big.bin')) pieces.push(piece)
    t.ok(Buffer.concat(pieces).equals(data))
    await t.rejects(
      async () => {
        for await (const _piece of client.job(id).download('none'));
      },
      { code: 'not_found' },
    )
  }
  t.equal(seen.length, 3)
  t.same(seen[0], '')
  t.match(seen.slice(1), [/^bytes=\d+-$/, /^bytes=\d+-$/])
  await t.rejects(stranger.job(id).artifacts(), { code: 'not_found' })
})

async function listed(store: ArtifactStore): Promise<string[]> {
  const found = []
  for await (const { object } of store.list()) found.push(object)
  return found
}
