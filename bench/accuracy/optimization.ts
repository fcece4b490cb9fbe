import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import { signToken } from '../../src/cli/token.js'
import type { LiveMessage } from '../../src/client/job-view.js'
import { watchJob } from '../../src/client/watch-job.js'
import { startRedisServer } from '../../src/embedded/redis-server.js'
import { startNode } from '../node-process.js'
import type { Figure } from './figure.js'

type Iteration = LiveMessage & { readonly type: 'optimization_iteration' }

const HORN = { material: 'ti-6al-4v', profile: 'uniform', width_mm: 25, height_mm: 126.71, thickness_mm: 25, sweep: { points: 11 } }
/** Resonance at 20 kHz, or lower stress slightly below it. */
const OPTIMIZATION = {
  base: HORN,
  variables: [
    { name: 'width_mm', min: 20, max: 40 },
    { name: 'height_mm', min: 120, max: 132 },
  ],
  objectives: [
    { metric: 'frequency_deviation_pct', direction: 'minimize' },
    { metric: 'max_von_mises_stress_mpa', direction: 'minimize' },
  ],
  constraints: [{ metric: 'natural_frequency_hz', operator: 'within_percent', value: 20_000, tolerance_pct: 1 }],
  population: 16,
  generations: 8,
  seed: 2026,
}
const TOTAL = OPTIMIZATION.population * OPTIMIZATION.generations
/** Numbers of iterations after which a worker is killed. */
const DEATHS = [20, 55]
const TIMEOUT_MS = 300_000

/**
 * Optimizes a horn with two solver workers behind a real hub. One worker is killed (SIGKILL) twice and restarted.
 * Checks what a client receives. Takes about a minute, mostly until the queue detects the dead worker.
 */
export async function checkOptimization(): Promise<Figure[]> {
  const redis = await startRedisServer({})
  const env = { REDIS_URL: redis.url, JWT_SECRET: randomBytes(32).toString('hex'), LOG_LEVEL: 'warn', MAX_ACTIVE_JOBS_PER_USER: '1' }
  const hub = await startNode('../src/main.js', env)
  const workers = [startWorker(env), startWorker(env)]
  try {
    return await watch(hub.host, signToken(env.JWT_SECRET, 'bench', 3600), workers, env)
  } finally {
    for (const worker of workers) await kill(worker)
    await hub.stop()
    await redis.stop()
  }
}

async function watch(host: string, token: string, workers: ChildProcess[], env: Record<string, string>): Promise<Figure[]> {
  const response = await fetch(`http://${host}/api/v2/optimizations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(OPTIMIZATION),
  })
  const { optimization_id: id } = (await response.json()) as { optimization_id: string }
  const iterations: Iteration[] = []
  const url = `ws://${host}/api/v2/ws/optimizations/${id}`
  const job = watchJob({ url, token: () => token, WebSocket, onMessage: (message) => isIteration(message) && iterations.push(message) })
  const late = setTimeout(() => job.close(), TIMEOUT_MS)
  for (const [i, after] of DEATHS.entries()) {
    await job.until(() => iterations.length >= after)
    const [victim] = workers.splice(i % 2, 1, startWorker(env))
    if (victim) await kill(victim)
  }
  const { final, front = [], best } = await job.finished()
  clearTimeout(late)
  job.close()
  const wrong = iterations.filter((iteration, i) => iteration.pareto_updated !== hasChanged(iterations, i)).length
  const isInOrder = iterations.every(({ iteration }, i) => iteration === i + 1)
  const runs = new Set(iterations.map(({ run_id }) => run_id)).size
  const frequency = best?.metrics.natural_frequency_hz ?? Number.NaN
  const deviation = Math.abs(frequency / 20_000 - 1) * 100
  const figure = (what: string, value: string, bound: string, holds: boolean): Figure => ({
    what: `Horn optimization: ${what}`,
    figure: value,
    bound,
    holds,
  })
  return [
    figure(`ends, with a worker killed ${DEATHS.length} times`, String(final?.type), 'completed', final?.type === 'completed'),
    figure(
      'iterations at a client',
      `${iterations.length}, ${isInOrder ? 'in' : 'not in'} order`,
      `${TOTAL}, in order`,
      isInOrder && iterations.length === TOTAL,
    ),
    figure('runs', String(runs), String(TOTAL), runs === TOTAL),
    figure('pareto_updated against a recomputation', `${wrong} differ`, '0 differ', wrong === 0),
    figure(
      'front against a recomputation',
      `${front.length} points`,
      `${frontOf(iterations).length} points`,
      String(frontOf(iterations)) === String(front.map(({ metrics }) => valuesOf(metrics))),
    ),
    figure('frequency of the best point', `${frequency.toFixed(0)} Hz`, 'within 1 % of 20000 Hz', deviation <= 1),
  ]
}

function isIteration(message: { readonly type: string }): message is Iteration {
  return message.type === 'optimization_iteration'
}

function hasChanged(iterations: readonly Iteration[], i: number): boolean {
  return String(frontOf(iterations.slice(0, i + 1))) !== String(frontOf(iterations.slice(0, i)))
}

/** The front, recomputed from the iterations alone: deviation and stress, nearest to 20 kHz first. */
function frontOf(iterations: readonly Iteration[]): number[][] {
  const points = iterations.filter(({ feasible }) => feasible).map(({ metrics }) => valuesOf(metrics))
  const isBeaten = ([u = 0, s = 0]: number[]) => points.some(([v = 0, r = 0]) => v <= u && r <= s && (v < u || r < s))
  const front = new Map(points.filter((point) => !isBeaten(point)).map((point) => [String(point), point]))
  return [...front.values()].toSorted(([a = 0], [b = 0]) => a - b)
}

function valuesOf(metrics: Readonly<Record<string, number>>): number[] {
  return OPTIMIZATION.objectives.map(({ metric }) => metrics[metric] ?? Number.NaN)
}

function startWorker(env: Readonly<Record<string, string>>): ChildProcess {
  const path = fileURLToPath(new URL('../../workers/main.js', import.meta.url))
  const kinds = { WORKER_KINDS: 'run,optimization', WORKER_CONCURRENCY: '1' }
  return fork(path, { env: { ...env, ...kinds }, execArgv: [], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

async function kill(worker: ChildProcess): Promise<void> {
  if (worker.exitCode !== null || worker.signalCode !== null) return
  worker.kill('SIGKILL')
  await once(worker, 'exit')
}
