import t from 'tap'
import { runEvents } from '../../src/core/run-events.js'
import { eventually } from '../support/eventually.js'
import { type Harness, startHarness } from '../support/harness.js'
import { startLateWorker } from '../support/late-worker.js'
import { Stage } from '../support/stage.js'
import { type Message, TestClient } from '../support/test-client.js'

// They mostly wait, each on a harness of its own.
t.jobs = 4

/** As if workers had taken the job and been lost, so that it runs in this attempt and nobody computes it. */
async function lose(h: Harness, id: string, attempt: number): Promise<void> {
  const { broker } = h.nodes[0]?.hub.parts ?? {}
  const running = runEvents.status(id, 'running')
  const again = { ...runEvents.status(id, 'retrying', 'the worker was lost'), clears: 'attempt' } as const
  const events = [running, ...Array.from({ length: attempt - 1 }, () => [again, running]).flat()]
  await broker?.publish(id, events, { round: 1, token: 0, n: 1 })
}

t.test('[ATTEMPT-1] each new attempt is told with its number, how many there are, the delay and the error, in both dialects', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: stage.processor })
  const list = new TestClient(`${h.nodes[0]?.ws}/ws?token=${h.token()}`)
  h.onTeardown(() => list.terminate())
  await list.next('process_list')
  const id = await h.submit()
  const client = await h.connect(id)
  await client.next('status')
  for (const [attempt, delay_ms] of [
    [2, 1000],
    [3, 2000],
  ]) {
    const error = `hiccup before ${attempt}`
    ;(await stage.play(id)).fail(new Error(error))
    const told = { attempt, max_attempts: 3, delay_ms, error, reason: error }
    const retrying = await untilRetrying(client)
    t.match(retrying, { status: 'retrying', ...told })
    t.match(await list.next('process_retrying'), { process_id: id, ...told })
    const running = await client.next('status')
    t.match(running, { status: 'running', attempt })
    // The queue waits what was announced; 50 ms for clocks that round.
    t.ok(Date.parse(running.timestamp) - Date.parse(retrying.timestamp) >= Number(delay_ms) - 50)
    await eventually(() => stage.playsOf(id).length === attempt)
  }
  const last = new Error('no route to redis://alice:hunter2@db:6379')
  ;(await stage.play(id)).fail(last)
  t.match(await client.next('error'), { code: 'solver_error', error: last.message, attempts: 3 })
  t.equal(stage.plays.length, 3)
  const lines = h.logged.filter((line) => 'text' in line && line.text === 'attempt failed')
  t.match(
    lines,
    [1, 2, 3].map((attempt) => ({ job: id, kind: 'run', attempt, max_attempts: 3, error: String, stack: /attempts\.test/ })),
    'a line each',
  )
  t.match(
    lines.at(-1),
    { error: 'no route to redis://alice:***@db:6379', stack: /^Error: no route to redis:\/\/alice:\*\*\*@db/ },
    'no secret',
  )
})

async function untilRetrying(client: TestClient): Promise<Message> {
  for (;;) {
    const message = await client.next('status')
    if (message.status === 'retrying') return message
  }
}

t.test('[ATTEMPT-1] a fault of the worker before the start costs a second and no attempt', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: null })
  const { parts } = await startLateWorker(t, h, stage.processor)
  const { read } = parts.broker
  parts.broker.read = () => {
    parts.broker.read = read
    return Promise.reject(new Error('a fault'))
  }
  const id = await h.submit()
  const client = await h.connect(id)
  ;(await stage.play(id)).complete()
  t.match(await client.next('completed'), { attempts: 1 })
  t.match(h.faults, [{ err: { message: 'a fault' } }])
})

t.test('[ATTEMPT-2] a failure counts on top of lost workers', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: null })
  const id = await h.submit()
  const client = await h.connect(id)
  await lose(h, id, 2)
  await startLateWorker(t, h, stage.processor)
  ;(await stage.play(id)).fail(new Error('the third'))
  t.match(await client.next('error'), { code: 'solver_error', error: 'the third', attempts: 3 })
  const retries = client.messages.filter(({ status, recovered }) => status === 'retrying' && recovered === undefined)
  t.match(retries.at(-1), { attempt: 3, max_attempts: 3, delay_ms: 0, error: 'the worker was lost' })
  t.equal(stage.plays.length, 1)
})

t.test('[ATTEMPT-2] a worker lost in the last attempt: the job ends, and no processor is called', async (t) => {
  const stage = new Stage()
  const h = await startHarness(t, { processor: null })
  const id = await h.submit()
  const client = await h.connect(id)
  await lose(h, id, 3)
  await startLateWorker(t, h, stage.processor)
  t.match(await client.next('error'), { code: 'worker_lost', error: 'The worker was lost in attempt 3 of 3.', attempts: 3 })
  t.same(stage.plays, [])
  t.same(h.faults, [])
})
