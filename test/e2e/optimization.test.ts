import t from 'tap'
import { eventually } from '../support/eventually.js'
import { HORN, startHarness } from '../support/harness.js'
import { optimize } from '../support/optimizations.js'
import { killProcess, startWorkerProcess } from '../support/worker-process.js'

const HORNS = {
  base: { ...HORN, sweep: { points: 401 } },
  variables: [
    { name: 'width_mm', min: 20, max: 40 },
    { name: 'height_mm', min: 120, max: 132 },
  ],
  objectives: [
    { metric: 'frequency_deviation_pct', direction: 'minimize' },
    { metric: 'max_von_mises_stress_mpa', direction: 'minimize' },
  ],
  constraints: [{ metric: 'natural_frequency_hz', operator: 'within_percent', value: 20_000, tolerance_pct: 5 }],
  population: 6,
  generations: 3,
}

t.test(
  '[OPT-7] kill -9 of a worker twice on the way, in the middle of its runs: the same number of evaluations, each once, and it completes',
  async (t) => {
    const lock = { WORKER_LOCK_MS: '1000' }
    const h = await startHarness(t, { nodes: 2, processor: null, env: { ...lock, SWEEP_INTERVAL_MS: '300' } })
    const settings = { ...lock, WORKER_KINDS: 'run,optimization', WORKER_CONCURRENCY: '1' }
    const workers = [startWorkerProcess(t, h, settings), startWorkerProcess(t, h, settings)]
    const id = await optimize(h, 'mortal', HORNS)
    const client = await h.connect(id, { node: 1, path: 'optimizations' })
    for (const [i, after] of [3, 9].entries()) {
      await eventually(() => client.all('optimization_iteration').length >= after, { timeoutMs: 60_000 })
      const [victim] = workers.splice(i, 1, startWorkerProcess(t, h, settings))
      if (victim) await killProcess(victim)
    }
    const completed = await client.next('completed')
    const iterations = client.all('optimization_iteration')
    t.same(
      iterations.map(({ iteration }) => iteration),
      Array.from({ length: 18 }, (_, i) => i + 1),
    )
    t.equal(new Set(iterations.map(({ run_id }) => run_id)).size, 18)
    t.match(completed.metrics_summary, { evaluations: 18, failed: 0 })
    const { body } = await h.call('GET', `/api/v2/optimizations/${id}`)
    t.match(body, { status: 'completed', counters: { evaluated: 18, failed: 0 } })
    t.same(h.faults, [])
  },
)
