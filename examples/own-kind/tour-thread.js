import { setImmediate as yieldToEvents } from 'node:timers/promises'
import { serveJobs } from 'runcast/worker'
import { Annealing } from './annealing.js'
import { randomNumbers } from './random-numbers.js'

/** Time of computation before the event loop runs, so that a cancel can arrive. */
const SLICE_MS = 20

/** Computes one tour. The same input always gives the same tour. */
async function solveTour({ cities, count, seed, sweeps }, job) {
  const random = randomNumbers(seed)
  const places = cities ?? Array.from({ length: count }, () => ({ x: random(), y: random() }))
  const annealing = new Annealing(places, random, sweeps)
  const initial = annealing.length
  let best = initial
  const report = (phase, percent) => {
    const length = annealing.length
    job.progress({ percent, phase, message: `${places.length} cities, length ${length.toPrecision(6)}` })
    if (length < best) job.metric('length', length, '')
    best = Math.min(best, length)
  }
  report('annealing', 0)
  for await (const share of slices(annealing, job.signal)) report('annealing', 95 * share)
  report('polishing', 95)
  annealing.polish()
  report('polishing', 99)
  const { length, moves } = annealing
  job.log(`order: ${annealing.order.join(' ')}`)
  return { metrics_summary: { length, initial_length: initial, cities: places.length, moves } }
}

/** Cools in slices of time and yields the progress, 0 to 1. Throws the signal's reason if the job must end. */
async function* slices(annealing, signal) {
  while (!annealing.isCold) {
    const end = performance.now() + SLICE_MS
    while (!annealing.isCold && performance.now() < end) annealing.sweep()
    await yieldToEvents()
    signal.throwIfAborted()
    yield annealing.share
  }
}

serveJobs(solveTour)
