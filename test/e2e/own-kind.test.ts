import t from 'tap'
import { exampleOf } from '../support/documents.js'
import { MODULES, startOwnStack } from '../support/own-stack.js'
import { proveProcesses } from '../support/process-proof.js'
import { assertComplete } from '../support/wire.js'

/** Cities on a circle, mixed: the shortest tour is the polygon. */
const RADIUS = 10
const CITIES = Array.from({ length: 12 }, (_, i) => {
  const angle = (2 * Math.PI * ((i * 5) % 12)) / 12
  return { x: RADIUS * Math.cos(angle), y: RADIUS * Math.sin(angle) }
})
const PERIMETER = 2 * 12 * RADIUS * Math.sin(Math.PI / 12)

t.test('[KIND-1] [KIND-2] the example as it stands: hubs, sockets, REST and the document have its kind like a built-in one', async (t) => {
  const stack = await startOwnStack(t, { modules: MODULES.example, kinds: 'tour', hubs: 2 })
  const [, other = stack] = stack.hubs
  const tab = await other.connect('/ws')
  await tab.next('process_list')
  const input = { cities: CITIES, sweeps: 20_000 }
  const submitted = await stack.call('POST', '/api/v2/tours', { tour_id: 'ring', input })
  t.match(submitted, {
    status: 202,
    body: { tour_id: 'ring', links: { self: '/api/v2/tours/ring', socket: '/api/v2/ws/tours/ring' } },
  })
  const socket = await other.connect('/api/v2/ws/tours/ring')
  t.match(await socket.next('status'), { tour_id: 'ring', recovered: false, metrics: {} })
  t.match(await socket.next('progress'), { tour_id: 'ring', phase: /annealing|polishing/, percent: Number, elapsed_s: Number })
  const completed = await socket.next('completed')
  t.match(completed, { tour_id: 'ring', percent: 100, attempts: 1, metrics_summary: { cities: 12, initial_length: Number, moves: Number } })
  const { length, initial_length } = completed.metrics_summary
  t.ok(Math.abs(length - PERIMETER) < 1e-9, `${length} is the polygon's ${PERIMETER}`)
  t.ok(initial_length > 2 * length, 'which was not the way that was given')
  t.ok(socket.all('metric_update').some(({ metric_name, value }) => metric_name === 'length' && value < initial_length))
  assertComplete(t, socket.messages)

  t.match(await tab.next('process_progress'), { process_id: 'ring', process_type: 'tour', progress: { total: 100, phase: 'annealing' } })
  t.match(await tab.next('process_completed'), { process_id: 'ring', process_type: 'tour', result: { length } })
  proveProcesses(tab.messages)

  t.match((await stack.call('GET', '/api/v2/tours/ring')).body, { tour_id: 'ring', status: 'completed', metrics: { length: { unit: '' } } })
  t.match((await stack.call('GET', '/api/v2/tours')).body, { tours: [{ tour_id: 'ring' }], cursor: null })
  t.match((await stack.call('GET', '/api/processes')).body, { processes: [{ process_id: 'ring', process_type: 'tour' }] })
  t.equal((await stack.call('GET', '/api/v2/runs/ring')).status, 404, 'it is no run')
  t.match(await other.call('POST', '/api/v2/tours', { tour_id: 'ring', input }), { status: 202, body: { status: 'completed' } })
  t.match(await other.call('POST', '/api/v2/tours', { tour_id: 'ring', input: {} }), { status: 409, body: { error: 'other_input' } })

  const { paths } = (await stack.call('GET', '/docs/openapi.json')).body
  const { properties } = paths['/api/v2/tours'].post.requestBody.content['application/json'].schema
  t.match(properties.input.properties, { cities: { minItems: 3 }, count: { default: 100 } }, 'the document has its input')
  t.notOk(properties.solver, 'and no solver of another kind')
  t.notOk(paths['/api/processes'].post, 'what no kind needs is not there')
  const { channels } = (await stack.call('GET', '/docs/asyncapi.json')).body
  t.match(channels.tourSocket, { address: '/api/v2/ws/tours/{id}' })
})

t.test('[KIND-1] [JOB-4] an input is checked by its kind’s schema, and its defaults are filled in, in either dialect', async (t) => {
  const stack = await startOwnStack(t, { modules: `${MODULES.example},${MODULES.tests}`, kinds: 'tour,squares' })
  const cases = [
    ['/api/v2/tours', { input: { cities: [{ x: 1, y: 2 }, { x: 1 }, { x: 0, y: 'a' }] } }, ['/input/cities/1/y', '/input/cities/2/y']],
    ['/api/v2/tours', { input: { sweep: 1 } }, ['/input/sweep']],
    ['/api/v2/tours', { input: {}, solver: 'horn-2d' }, ['/solver']],
    ['/api/v2/tours', { tour_id: '17', input: {} }, ['/tour_id']],
    ['/api/processes', { process_type: 'squares', input: { to: 0 } }, ['/input/to']],
    ['/api/processes', { process_type: 'squares', input: 5 }, ['/input']],
    ['/api/processes', { process_type: 'squares' }, ['/input']],
    ['/api/processes', { process_type: 'tour', input: {} }, ['/process_type']],
    ['/api/processes', { process_type: 'squares', input: {}, nope: 1 }, ['/nope']],
  ] as const
  for (const [path, body, faults] of cases) {
    const { status, body: answer } = await stack.call('POST', path, body)
    t.equal(status, 422, JSON.stringify(body))
    t.same(
      answer.detail.map(({ path }: { path: string }) => path),
      faults,
      JSON.stringify(answer.detail),
    )
  }
  t.equal((await stack.call('POST', '/api/v2/tours', { tour_id: 'plain', input: { count: 5, sweeps: 10 } })).status, 202)
  const again = { tour_id: 'plain', input: { count: 5, seed: 1, sweeps: 10 } }
  t.equal((await stack.call('POST', '/api/v2/tours', again)).status, 202, 'the default was filled in: it is the same input')
})

t.test('[KIND-3] a kind in the process dialect: submitted at /api/processes, told on /ws alone', async (t) => {
  const stack = await startOwnStack(t, { modules: MODULES.tests, kinds: 'squares' })
  const tab = await stack.connect('/ws')
  await tab.next('process_list')
  const body = { process_type: 'squares', process_id: 'four', job_timeout_s: 60, input: { to: 4 } }
  t.match(await stack.call('POST', '/api/processes', body), {
    status: 202,
    body: { process_id: 'four', process_type: 'squares', links: { self: '/api/processes/four', socket: '/ws' } },
  })
  const completed = await tab.next('process_completed')
  t.match(completed, {
    process_id: 'four',
    process_type: 'squares',
    result: { sum: 30 },
    progress: { current: 4, total: 4, detail: '4 of 4' },
  })
  t.same(
    tab.all('process_result').map(({ result }) => result),
    [1, 2, 3, 4].map((n) => ({ n, square: n * n })),
  )
  proveProcesses(tab.messages)
  t.match(await (await stack.connect('/api/v2/ws/runs/four')).closed, { code: 4004 }, '[CONN-4] it is no run')
  t.match((await stack.call('GET', '/api/processes/four')).body, { status: 'completed', result: { result: { sum: 30 } } })
  t.match((await stack.call('POST', '/api/processes', body)).body, { status: 'completed' }, 'the same again is the same job')
  const { process_id } = (await stack.call('POST', '/api/processes', { process_type: 'squares', input: {} })).body
  t.match(await tab.next('process_completed'), { process_id, result: { sum: 14 } }, 'with its default, three')
  const { anyOf } = (await stack.call('GET', '/docs/openapi.json')).body.paths['/api/processes'].post.requestBody.content[
    'application/json'
  ].schema
  t.same(
    anyOf.flatMap(({ properties }: { properties: { process_type: { const: string } } }) => [properties.process_type.const]),
    ['squares', 'shapeless', 'vigil', 'brief'],
  )
})

t.test('[KIND-3] the kind of the guide', async (t) => {
  const stack = await startOwnStack(t, { modules: exampleOf(t, 'docs/guide/define-a-kind.md', '// timer.mjs'), kinds: 'timer' })
  const tab = await stack.connect('/ws')
  await stack.call('POST', '/api/processes', { process_type: 'timer', process_id: 'egg', input: { seconds: 1 } })
  t.match(await tab.next('process_progress'), { process_id: 'egg', progress: { current: 0, total: 1, detail: '1 s left' } })
  t.match(await tab.next('process_completed'), { process_id: 'egg', result: { rang_at: String } })
  await stack.call('POST', '/api/processes', { process_type: 'timer', process_id: 'hour', input: { seconds: 3600 } })
  await tab.next('process_progress')
  await stack.call('POST', '/api/processes/hour/cancel')
  t.notOk((await tab.next('process_cancelled')).forced, 'it obeys')
})
