import { v7 as uuidv7 } from 'uuid'
import { secondsSinceStart } from '../../src/core/elapsed.js'
import { controlWriter, type JobEvent } from '../../src/core/entry.js'
import type { JobState } from '../../src/core/job-state.js'
import type { SeriesTelemetry } from '../../src/core/series-telemetry.js'
import { storeClock } from '../../src/core/store-clock.js'
import { type Finalizer, finalize } from '../../src/jobs/finalize.js'
import { cancelChildren, endChild } from '../../src/jobs/sweeper/cancel-children.js'
import { scheduleStep } from '../../src/jobs/sweeper/schedule-step.js'
import { optimizationEvents } from '../../src/kinds/optimization/events.js'
import type { OptimizationInput } from '../../src/kinds/optimization/input.js'
import { optimizationKind } from '../../src/kinds/optimization/kind.js'
import { isFinal } from '../../src/protocol/status.js'
import { type Outcome, queuedRoundOf } from '../../src/queue/queue.js'
import type { WriteRejection } from '../../src/storage/broker.js'
import { FRONT_INTERVAL_MS, foldRuns, publishFront, type Whole, waitEvent } from './fold-runs.js'
import { bestOf } from './front.js'
import { firstLedger, type Ledger, openChildrenOf } from './ledger.js'
import { begin, type Candidate, candidates } from './optimizer.js'
import { lookAtRun, type RunPorts, type RunState } from './runs.js'

export interface StepPorts extends Finalizer, RunPorts {
  readonly broker: Finalizer['broker']
  /** Maximum bytes of an event of a job. */
  readonly maxEventBytes: number
  /** An optimization can submit nothing now. Called by each step that finds this. */
  readonly onWait?: (id: string, why: string) => void
}

/** Share of an event that a front may take, besides the point that is shown as the best one. */
const FRONT_SHARE = 0.7

/** Maximum turns of one step. With concurrent steps, each turn may find something new. The next step continues. */
const MAX_TURNS = 100

const LASTING: readonly WriteRejection[] = ['too_big', 'too_many_keys']

/** An optimization with its ledger, in one turn. */
interface Standing extends Whole {
  readonly version: number
}

type OpenRun = Candidate & { readonly run_id: string }

/**
 * One step of an optimization: adds the runs that have ended, submits the next ones, and ends it. Idempotent, for any
 * number of concurrent callers. The events and the checkpoint of the next step are written atomically in Redis; of two
 * steps that read the same checkpoint, one takes effect. If a process dies, the next step continues from the
 * checkpoint.
 */
export async function stepOptimization(ports: StepPorts, id: string): Promise<void> {
  for (let turn = 0; turn < MAX_TURNS; turn += 1) if (await isAtRest(ports, id)) return
  const state = (await ports.broker.read(id))?.state
  if (state) await scheduleStep(ports, state)
}

/** Does one thing, or finds that there is nothing to do. */
async function isAtRest(ports: StepPorts, id: string): Promise<boolean> {
  const state = (await ports.broker.read(id))?.state
  if (state?.kind.name !== optimizationKind.name) return true
  if (isFinal(state.status)) return cancelChildren(ports, state).then(() => true)
  if (state.status === 'queued') return start(ports, state)
  const end = (outcome: Outcome) => finalize(ports, queuedRoundOf(state), outcome, 'worker').then(() => true)
  if (state.status === 'cancelling') return (await cancelChildren(ports, state)) ? end({ status: 'cancelled' }) : true
  const standing = await standingOf(ports, state)
  if (!standing)
    return end({ status: 'failed', code: 'worker_lost', error: 'What this optimization had found so far is lost.', log_tail: '' })
  const { ledger } = standing
  const runs = openRunsOf(standing)
  const looks = await Promise.all(runs.map(async (run) => ({ run, look: await lookAtRun(ports, standing, run) })))
  if (await takeIn(ports, standing, looks)) return false
  if (ledger.search.end) return end(resultOf(standing))
  const held = looks.find(({ look }) => look.at === 'held')?.look
  if (held?.at === 'held') return wait(ports, standing, held.why)
  return state.status === 'paused' ? takeBack(ports, standing, looks) : submitMore(ports, standing)
}

async function start(ports: StepPorts, state: JobState): Promise<boolean> {
  const input = inputOf(state)
  const before = await ports.broker.load(state.id)
  // Children of the previous execution that have not ended. The next step ends them.
  const ledger = { ...firstLedger(begin(input, input)), leaving: before?.children ?? [] }
  await advance(ports, { state, version: (before?.version ?? 0) + 1, ledger }, [optimizationEvents.status(state.id, 'running')])
  return false
}

/** Null if the checkpoint is gone. */
async function standingOf(ports: StepPorts, state: JobState): Promise<Standing | null> {
  const checkpoint = await ports.broker.load(state.id)
  if (checkpoint?.round !== state.round) return null
  const ledger = JSON.parse(checkpoint.data) as Ledger // as `advance` wrote it
  // The step that withdrew or added these runs may have died before it cancelled them or made them expire.
  const ended = await Promise.all(ledger.leaving.map((id) => endChild(ports, id)))
  const leaving = ledger.leaving.filter((_, i) => !ended[i])
  return { state, input: inputOf(state), version: checkpoint.version, ledger: { ...ledger, leaving } }
}

/**
 * Adds ended runs, and publishes the front if it is due. Returns whether anything was done, by this or another step.
 */
async function takeIn(ports: StepPorts, standing: Standing, looks: readonly { run: OpenRun; look: RunState }[]): Promise<boolean> {
  const { state, ledger } = standing
  const ended = looks.flatMap(({ run, look }) =>
    look.at === 'ended' ? [{ index: run.index, run_id: run.run_id, outcome: look.outcome }] : [],
  )
  const telling = { now: storeClock.now(), maxFrontBytes: FRONT_SHARE * ports.maxEventBytes }
  const next = ended.length > 0 ? foldRuns(standing, ended, telling) : publishFront(standing, [], telling)
  if (next.events.length > 0) {
    await advance(ports, { ...standing, version: standing.version + 1, ledger: next.ledger }, next.events, next.points)
    return true
  }
  if (ledger.front.hasChanged)
    await ports.backlog.step(queuedRoundOf(state), 'later', ledger.front.toldAt + FRONT_INTERVAL_MS - telling.now)
  return false
}

/** Publishes why nothing more can be submitted now. The sweeper schedules another look. */
async function wait(ports: StepPorts, standing: Standing, why: string): Promise<true> {
  const { state } = standing
  ports.onWait?.(state.id, why)
  const event = waitEvent(standing, why, storeClock.now())
  if (event) await ports.broker.publish(state.id, [event], controlWriter(state.round))
  return true
}

/** Fills free slots with candidates of this generation. The next turn submits what is recorded here. */
async function submitMore(ports: StepPorts, standing: Standing): Promise<boolean> {
  const { input, ledger } = standing
  const { generation, evaluations } = ledger.search
  const free = input.parallel - Object.keys(ledger.open).length
  const isLeft = ({ index }: Candidate) => !evaluations[index - generation * input.population] && ledger.open[index] === undefined
  const chosen = candidates(input, ledger.search).filter(isLeft).slice(0, Math.max(0, free))
  if (chosen.length === 0) return true
  const open = { ...ledger.open, ...Object.fromEntries(chosen.map(({ index }) => [index, uuidv7()])) }
  await advance(ports, { ...standing, version: standing.version + 1, ledger: { ...ledger, open } }, [])
  return false
}

/**
 * Withdraws the runs of a paused optimization that no worker has started. They leave the ledger first, so that their
 * end does not count as an evaluation.
 */
async function takeBack(ports: StepPorts, standing: Standing, looks: readonly { run: OpenRun; look: RunState }[]): Promise<boolean> {
  const { ledger } = standing
  const waiting = looks.flatMap(({ run, look }) => (look.at === 'waiting' ? [run] : []))
  if (waiting.length === 0) return true
  const indices = new Set(waiting.map(({ index }) => String(index)))
  const open = Object.fromEntries(Object.entries(ledger.open).filter(([index]) => !indices.has(index)))
  const leaving = [...ledger.leaving, ...waiting.map(({ run_id }) => run_id)]
  await advance(ports, { ...standing, version: standing.version + 1, ledger: { ...ledger, open, leaving } }, [])
  return false
}

/**
 * Writes the state of the optimization and its events. Does nothing if another step was faster or the optimization has
 * ended; the next turn sees that.
 */
async function advance(
  ports: StepPorts,
  { state, version, ledger }: Omit<Standing, 'input'>,
  events: readonly JobEvent[],
  points: readonly SeriesTelemetry[] = [],
): Promise<void> {
  const next = { version, children: openChildrenOf(ledger), data: JSON.stringify(ledger) }
  const answer = await ports.broker.advance(state.id, events, controlWriter(state.round), next, points)
  if (answer.ok || !LASTING.includes(answer.reason)) return
  // It would be refused again and again.
  const error = `The events of this optimization cannot be published: ${answer.reason}.`
  await finalize(ports, queuedRoundOf(state), { status: 'failed', code: 'solver_error', error, log_tail: '' }, 'worker')
}

function openRunsOf({ input, ledger }: Standing): OpenRun[] {
  return candidates(input, ledger.search).flatMap((candidate) => {
    const run_id = ledger.open[candidate.index]
    return run_id === undefined ? [] : [{ ...candidate, run_id }]
  })
}

function resultOf({ state, input, ledger }: Standing): Outcome {
  const { search, evaluated, feasible, failed } = ledger
  const hypervolume = search.hypervolume === null ? {} : { hypervolume: search.hypervolume }
  const metrics_summary = { evaluations: evaluated, feasible, failed, front_size: search.archive.length, ...hypervolume }
  const result = { metrics_summary, best: bestOf(input, ledger), stopped: search.end }
  return { status: 'completed', result, compute_time_s: secondsSinceStart(state, storeClock.now()) }
}

function inputOf(state: JobState): OptimizationInput {
  return JSON.parse(state.input) as OptimizationInput // normalised at submit
}
