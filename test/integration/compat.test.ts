import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import * as today from '../../src/client/index.js'
import { eventually } from '../support/eventually.js'
import { comparable, HubUser, RECORDED, readRecorded, recordedKinds, recordingOf, restore } from '../support/recorded.js'
import { startTestRedis } from '../support/redis.js'
import { CLONE, startReleaseHub, startReleaseWorker } from '../support/release.js'
import type { Message } from '../support/test-client.js'

// The client as v0.1.0 compiled it has the functions and the options of today's.
const recordedClient = (await import(pathToFileURL(join(RECORDED, 'client/client/index.js')).href)) as typeof today

const recorded = readRecorded()
const redis = await startTestRedis(t)
await restore(redis.url, recorded)

const settings = {
  REDIS_URL: redis.url,
  REDIS_PREFIX: 'runcast',
  ...recordedKinds(CLONE),
  WORKER_LOCK_MS: '1000',
  STALE_MS: '600000', // a slow machine changes nothing
}
// Until its worker starts, this hub leaves the jobs as they were restored.
const hub = await startReleaseHub(CLONE, { ...settings, SWEEP_INTERVAL_MS: '600000' })
t.teardown(() => hub.kill())
const alice = new HubUser(hub)

const UNFINISHED = ['run-running', 'run-waiting', 'opt-running', 'walk-running', 'walk-waiting', 'sum-running', 'sum-waiting']
const PLACES: Readonly<Record<string, string>> = { run: 'runs', opt: 'optimizations', walk: 'walks' }
const placeOf = (id: string): string | undefined => PLACES[id.split('-', 1)[0] ?? '']

for (const door of ['get', 'socket', 'stream'] as const) {
  t.test(`v0.1.0: a hub serves restored data as it was recorded: ${door}`, async (t) => {
    const paths = recorded.recordings.filter((recording) => recording.door === door).map(({ path }) => path)
    t.ok(paths.length > 0)
    for (const path of paths) {
      const frames = recordingOf(recorded, door, path)
      t.strictSame(comparable(await received(path, door, frames.length)), comparable(frames), path)
    }
  })
}

/** As many messages as were recorded; of a socket or a stream that sends more, more. */
async function received(path: string, door: 'get' | 'socket' | 'stream', count: number): Promise<Message[]> {
  if (door === 'get') return [await alice.get(path)]
  const client = door === 'socket' ? alice.socket(path) : alice.stream(path)
  try {
    await eventually(() => client.messages.length >= count)
    return client.messages
  } finally {
    client.terminate()
  }
}

t.test('[POS-6] v0.1.0: a position of its epoch resumes on a restored history', async (t) => {
  const durable = ({ type, recovered }: Message) => !['progress', 'pareto_front'].includes(type) && recovered === undefined
  for (const id of ['run-ended', 'run-retried', 'walk-ended', 'opt-ended']) {
    const path = `/api/v2/ws/${placeOf(id)}/${id}`
    const [snapshot, ...live] = recordingOf(recorded, 'live', path)
    const missed = live.slice(2).filter(durable)
    const client = alice.socket(`${path}?after=${live[1].seq}&epoch=${snapshot.epoch}`)
    await eventually(() => client.messages.at(-1)?.seq === live.at(-1).seq && client.messages.length > 1)
    client.terminate()
    t.match(client.messages[0], { status: 'completed', recovered: true, seq: live.at(-1).seq }, id)
    const withoutPrev = ({ prev: _prev, ...message }: Message) => message
    t.strictSame(client.messages.slice(1).filter(durable).map(withoutPrev), missed.map(withoutPrev), id)
  }
})

t.test('[REV-1] [REV-2] v0.1.0: what it revoked stays revoked', async (t) => {
  await t.rejects(new HubUser(hub, 'alice', { jti: 'stolen' }).get('/api/v2/runs'), /401/)
  await t.rejects(new HubUser(hub, 'mallory').get('/api/v2/runs'), /401/)
  const { revocations } = await new HubUser(hub, 'admin', { role: 'admin' }).get('/api/revocations')
  t.match(revocations.toReversed(), [{ jti: 'stolen' }, { sub: 'mallory', expires_at: '2099-01-01T00:00:00.000Z' }])
})

/** A WebSocket that plays frames to whoever opens it. */
function playing(frames: readonly Message[]): today.WebSocketClass {
  return class implements today.WebSocketLike {
    onopen: today.WebSocketLike['onopen'] = null
    onmessage: today.WebSocketLike['onmessage'] = null
    onclose: today.WebSocketLike['onclose'] = null
    onerror: today.WebSocketLike['onerror'] = null

    constructor() {
      setImmediate(() => {
        this.onopen?.({})
        for (const frame of frames) this.onmessage?.({ data: JSON.stringify(frame) })
      })
    }

    send(): void {}
    close(): void {}
  }
}

t.test('v0.1.0: the client of today makes of recorded frames what the recorded client makes of them', async (t) => {
  const connection = { url: 'ws://recorded/ws', token: () => 'token' }
  for (const { door, path } of recorded.recordings) {
    if ((door !== 'live' && door !== 'socket') || path === '/ws') continue
    const frames = recordingOf(recorded, door, path)
    const watches = [recordedClient, today].map(({ watchJob }) => watchJob({ ...connection, WebSocket: playing(frames) }))
    const [before, after] = await Promise.all(watches.map((watch) => watch.until(({ seq }) => seq === frames.at(-1).seq)))
    t.strictSame(after, before, `${door} ${path}`)
    for (const watch of watches) watch.close()
  }
  for (const door of ['live', 'socket'] as const) {
    const frames = recordingOf(recorded, door, '/ws')
    const told: number[] = []
    const watches = [recordedClient, today].map(({ watchProcesses }, i) => {
      told[i] = 0
      const onMessage = () => {
        told[i] = (told[i] ?? 0) + 1
      }
      return watchProcesses({ ...connection, WebSocket: playing(frames), onMessage })
    })
    await eventually(() => told.every((count) => count === frames.length))
    const [before, after] = watches.map(({ view }) => [...view])
    t.ok(before?.length)
    t.strictSame(after, before, `${door} /ws`)
    for (const watch of watches) watch.close()
  }
})

/** The class of `ws`, whose newest connection can be cut. */
function cuttable(): { readonly Cuttable: today.WebSocketClass; cut(): void; readonly opened: number } {
  const sockets: WebSocket[] = []
  const Cuttable = class extends WebSocket {
    constructor(url: string) {
      super(url)
      sockets.push(this)
    }
  }
  return {
    Cuttable,
    cut: () => sockets.at(-1)?.terminate(),
    get opened() {
      return sockets.length
    },
  }
}

/** A watch of the recorded client over a job, whose connection is cut once. */
function watched(t: Test, id: string) {
  const line = cuttable()
  const seqs: number[] = []
  const watch = recordedClient.watchJob({
    url: `${hub.ws}/api/v2/ws/${placeOf(id)}/${id}`,
    token: () => alice.token,
    WebSocket: line.Cuttable,
    backoffMs: { first: 5, longest: 50 },
    onMessage: (message) => {
      if ('recovered' in message) return
      if (message.type !== 'progress' && message.type !== 'pareto_front') seqs.push(message.seq)
      if (line.opened === 1) line.cut()
    },
  })
  t.teardown(() => watch.close())
  return { id, watch, seqs, line }
}

t.test('v0.1.0: workers finish what it left, and the recorded client watches, over a cut', async (t) => {
  const jobs = UNFINISHED.filter((id) => placeOf(id)).map((id) => watched(t, id))
  const feed = cuttable()
  const results: number[] = []
  const processes = recordedClient.watchProcesses({
    url: `${hub.ws}/ws`,
    token: () => alice.token,
    WebSocket: feed.Cuttable,
    backoffMs: { first: 5, longest: 50 },
    onMessage: (message) => {
      if (message.type !== 'process_result' || message.process_id !== 'sum-running') return
      results.push(message.seq)
      if (feed.opened === 1) feed.cut()
    },
  })
  t.teardown(() => processes.close())
  await eventually(() => UNFINISHED.every((id) => processes.view.has(id)))
  const worker = startReleaseWorker(CLONE, { ...settings, SWEEP_INTERVAL_MS: '300' })
  t.teardown(() => worker.kill())

  for (const { id, watch, seqs, line } of jobs) {
    const view = await watch.finished()
    t.match(view, { status: 'completed', stale: false, percent: 100, final: { type: 'completed', seq: view.seq } }, id)
    t.ok(line.opened >= 2, `${id} was watched over a cut`)
    t.strictSame(
      seqs,
      [...new Set(seqs)].toSorted((a, b) => a - b),
      `${id}: each message once and in order`,
    )
    const { events } = await alice.get(`/api/v2/${placeOf(id)}/${id}/events?after=${(seqs[0] ?? 1) - 1}&limit=1000`)
    t.strictSame(
      seqs,
      events.map(({ seq }: Message) => seq),
      `${id}: nothing is missing`,
    )
  }
  await eventually(() => UNFINISHED.every((id) => processes.view.get(id)?.status === 'completed'))
  t.ok(feed.opened >= 2, 'all processes were watched over a cut')
  t.equal(processes.view.get('sum-running')?.results.length, 5, 'and each result came')
  t.strictSame(
    results,
    [...new Set(results)].toSorted((a, b) => a - b),
    'once and in order',
  )
  t.match(processes.view.get('sum-running'), { attempt: 2, final: { result: { sum: 55 } } }, 'its second attempt, after the lost worker')
  t.match(processes.view.get('sum-waiting'), { attempt: 1, final: { result: { sum: 5 } } })

  const began = recordingOf(recorded, 'get', '/api/v2/optimizations/opt-running/iterations')[0].iterations
  const { iterations } = await alice.get('/api/v2/optimizations/opt-running/iterations')
  t.strictSame(iterations.slice(0, began.length), began, 'the iterations of v0.1.0 stay')
  const places = (messages: readonly Message[]) => messages.map(({ iteration, parameters }) => ({ iteration, parameters }))
  const [whole] = recordingOf(recorded, 'get', '/api/v2/optimizations/opt-ended/iterations')
  t.strictSame(places(iterations), places(whole.iterations), '[OPT-8] the points are those of a search that was not interrupted')

  const line = cuttable()
  const url = `${hub.ws}/api/v2/ws/runs/run-cancelled`
  const again = recordedClient.watchJob({ url, token: () => alice.token, WebSocket: line.Cuttable })
  t.teardown(() => again.close())
  t.match(await again.finished(), { status: 'cancelled' })
  await alice.post('/api/v2/runs/run-cancelled/retry')
  t.match(await again.until(({ status }) => status === 'completed'), { percent: 100, started_at: String }, 'what had ended is retried')
  t.equal(line.opened, 1, 'on the same socket')
})
