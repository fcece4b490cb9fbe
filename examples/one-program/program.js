// A hub, a worker with a custom kind, and clients, in one program. Each could be a program of its own with the same
// lines.
import { createHmac, randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, createHub, createWorker, defineKind, implement, JobFailed } from 'runcast'

const redis = { url: process.env.REDIS_URL, prefix: 'one-program' }
const jwtSecret = randomBytes(32).toString('hex')

// The contract of a kind, for hubs, workers and clients.
const countdown = defineKind({
  name: 'countdown',
  dialect: 'process',
  input: {
    type: 'object',
    properties: { from: { type: 'integer', minimum: 1, maximum: 1000 }, pauseMs: { type: 'integer', minimum: 0, default: 10 } },
    required: ['from'],
    additionalProperties: false,
  },
})
// The computation, for workers only.
const counting = implement(countdown, {
  run: async ({ from, pauseMs }, job) => {
    for (let left = from; left > 0; left -= 1) {
      await job.progress({ current: from - left, total: from, detail: `${left} left` })
      await sleep(pauseMs, undefined, { signal: job.signal })
    }
    return { counted: from }
  },
})

const hub = createHub({ redis, kinds: [countdown], auth: { jwtSecret }, finalTtlMs: 60_000, limits: { maxSocketsPerUser: 20 } })
const url = await hub.listen({ port: 0 })
const worker = createWorker({ redis, work: [counting], concurrency: 2 })
await worker.start()

// A client over HTTP and WebSocket, as in a browser, with a token of the user.
const client = createClient({ url, token: tokenOf('alice') })
const job = await client.submit(countdown, { from: 5 }, { timeoutMs: 60_000 })
for await (const event of job.events()) console.log(event.type)
console.log(await job.result())

// A job can be cancelled, and then be run again.
const long = await client.submit(countdown, { from: 1000 }, { id: 'long' })
const result = long.result().catch((error) => error)
for await (const event of long.events()) {
  if (event.type !== 'process_progress') continue
  console.log(await long.cancel())
  break
}
const error = await result
console.log(error instanceof JobFailed, error.code)
console.log(await long.retry())
await long.cancel()

// A client over Redis, for programs with access to it: the same jobs and the same members.
const direct = createClient({ redis, owner: 'alice', kinds: [countdown] })
const { jobs } = await direct.list({ kind: countdown })
console.log(jobs.map(({ id, status }) => (id === job.id ? status : id)))

await Promise.all([client.close(), direct.close()])
await worker.close()
await hub.close()

/** A token for one hour, as the login of an application creates it (JWT, HS256). */
function tokenOf(sub) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1000)
  const text = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode({ sub, iat: now, exp: now + 3600 })}`
  return `${text}.${createHmac('sha256', jwtSecret).update(text).digest('base64url')}`
}
