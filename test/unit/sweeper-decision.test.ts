import t from 'tap'
import type { Entry } from '../../src/core/entry.js'
import type { JobState } from '../../src/core/job-state.js'
import { type Action, type DecisionLimits, decide, type Observation, phaseOf } from '../../src/jobs/sweeper/decide.js'
import type { QueueState } from '../../src/queue/queue.js'
import { BUILT_IN } from '../support/kinds.js'

const NOW = Date.UTC(2026, 10, 29)
const LIMITS: DecisionLimits = { cancelGraceMs: 5_000, lockMs: 10_000, mayJudge: true }
const TIMEOUT_MS = 60_000

const ACTIVE = ['queued', 'running', 'retrying', 'paused', 'cancelling'] as const
const QUEUE: Readonly<Record<string, QueueState>> = {
  held: { at: 'held' },
  waiting: { at: 'waiting' },
  locked: { at: 'active', isLocked: true },
  unlocked: { at: 'active', isLocked: false },
  missing: { at: 'missing' },
  ended: { at: 'ended', outcome: { status: 'completed', result: {}, compute_time_s: 1 } },
}

/** What differs from a job that is well; times in ms before now. */
interface Given {
  readonly solver?: string
  readonly kind?: 'run' | 'optimization'
  readonly attempt?: number
  readonly started?: number
  /** Somebody asked for its end, where it is cancelling. */
  readonly asked?: number
  /** No heartbeat, where a worker computes it. */
  readonly silent?: number
  readonly unlocked?: number
  readonly isParentOver?: boolean
  readonly mayJudge?: boolean
}

const ago = (ms: number) => new Date(NOW - ms).toISOString()

function jobOf(
  status: JobState['status'],
  { kind = 'run', solver, attempt = 1, started = 1_000, asked = 0, silent = 0 }: Given = {},
): JobState {
  const body = Buffer.from(JSON.stringify({ type: 'status', timestamp: ago(asked) }))
  const entry: Entry = { id: 'a', generation: 'g', seq: 1, class: 'persisted', key: 'status', body }
  return {
    id: 'a',
    kind: BUILT_IN.get(kind),
    owner: 'alice',
    solver: solver ?? null,
    parent: null,
    input: '{}',
    status,
    round: 1,
    attempt,
    sinceHeartbeatMs: status === 'running' || status === 'cancelling' ? silent : null,
    stale: false,
    timeoutMs: TIMEOUT_MS,
    created_at: ago(started),
    started_at: ago(started),
    finished_at: null,
    generation: 'g',
    epoch: 'g.1',
    seq: 1,
    token: 1,
    n: 1,
    latest: new Map([['status', entry]]),
  }
}

const WORDS: Partial<Record<Action['do'], string>> = { keep: '.', 'wait for turn': 'turn', 'add to queue': 'add', 'schedule step': 'step' }

/** In one word: `!` where the worker is fenced, `?` where the state is read again before. */
function wordOf(action: Action): string {
  if (action.do !== 'end') return WORDS[action.do] ?? action.do.replaceAll(' ', '-')
  const { outcome, isFenced, isUnproven } = action
  const word = outcome.status === 'failed' ? outcome.code : outcome.status === 'cancelled' && outcome.forced ? 'forced' : outcome.status
  return `${word}${isFenced ? '!' : ''}${isUnproven ? '?' : ''}`
}

/** The decision for each status in each place of the queue, as the table that it is compared with. */
function tableOf(given: Given): string {
  const { unlocked = 0, isParentOver = false, mayJudge = true } = given
  const cell = (status: JobState['status'], queued: QueueState) => {
    const seen: Observation = { state: jobOf(status, given), queued, isParentOver, unlockedMs: unlocked }
    return wordOf(decide(seen, { ...LIMITS, mayJudge }, NOW))
  }
  const rows = ACTIVE.map((status) => [status, ...Object.values(QUEUE).map((queued) => cell(status, queued))].join(' '))
  return [Object.keys(QUEUE).join(' '), ...rows].join('\n')
}

const plain = (table: string) =>
  table
    .trim()
    .split('\n')
    .map((line) => line.trim().replace(/ +/g, ' '))
    .join('\n')

const WELL = `
            held       waiting    locked     unlocked   missing       ended
queued      turn       .          .          .          add           completed
running     turn       .          .          .          worker_lost!? completed
retrying    turn       .          .          .          worker_lost!? completed
paused      turn       .          .          .          worker_lost!? completed
cancelling  .          .          .          .          cancelled     completed`

const CASES: readonly [title: string, given: Given, table: string][] = [
  [
    '[CLAIM-11] a job for its owner, who is lost or has not claimed it in time',
    { solver: '_owner', asked: 30_001, silent: 10_001 },
    `
            held         waiting       locked   unlocked   missing       ended
queued      worker_lost! worker_lost!  .        .          add           completed
running     turn         worker_lost!  .        suspect    worker_lost!? completed
retrying    turn         .             .        .          worker_lost!? completed
paused      turn         .             .        .          worker_lost!? completed
cancelling  cancelled    cancelled     forced   cancelled  cancelled     completed`,
  ],
  ['a job that is well is kept; the queue may have lost it, or have its end', {}, WELL],
  [
    'a silent worker: first a doubt, or the next attempt',
    { silent: 10_001 },
    `
            held       waiting       locked   unlocked   missing       ended
queued      turn       .             .        .          add           completed
running     turn       next-attempt  .        suspect    worker_lost!? completed
retrying    turn       .             .        .          worker_lost!? completed
paused      turn       .             .        .          worker_lost!? completed
cancelling  .          .             .        suspect    cancelled     completed`,
  ],
  [
    'a silent worker in the last attempt, seen without its lock for long: lost',
    { silent: 10_001, unlocked: 15_000, attempt: 3 },
    `
            held       waiting       locked   unlocked      missing       ended
queued      turn       .             .        .             add           completed
running     turn       worker_lost!  .        worker_lost!  worker_lost!? completed
retrying    turn       .             .        .             worker_lost!? completed
paused      turn       .             .        .             worker_lost!? completed
cancelling  .          cancelled!    .        cancelled!    cancelled     completed`,
  ],
  [
    'not quite so long: still a doubt',
    { silent: 10_001, unlocked: 14_999, attempt: 2 },
    `
            held       waiting       locked   unlocked   missing       ended
queued      turn       .             .        .          add           completed
running     turn       next-attempt  .        suspect    worker_lost!? completed
retrying    turn       .             .        .          worker_lost!? completed
paused      turn       .             .        .          worker_lost!? completed
cancelling  .          .             .        suspect    cancelled     completed`,
  ],
  ['a heartbeat that is just in time', { silent: 10_000, unlocked: 15_000, attempt: 3 }, WELL],
  ['while Redis was away, silence proves nothing', { silent: 1e6, unlocked: 1e6, attempt: 3, mayJudge: false }, WELL],
  ['out of time: the worker has the grace to end it', { started: TIMEOUT_MS + 4_999 }, WELL],
  [
    'out of time and grace',
    { started: TIMEOUT_MS + 5_000 },
    `
            held       waiting    locked     unlocked   missing    ended
queued      timeout    timeout    timeout    timeout    timeout    completed
running     timeout    timeout    timeout    timeout    timeout    completed
retrying    timeout    timeout    timeout    timeout    timeout    completed
paused      timeout    timeout    timeout    timeout    timeout    completed
cancelling  .          .          .          .          cancelled  completed`,
  ],
  ['cancelling for as long as it may', { asked: 5_000 }, WELL],
  [
    'cancelling for too long',
    { asked: 5_001 },
    `
            held       waiting    locked     unlocked   missing       ended
queued      turn       .          .          .          add           completed
running     turn       .          .          .          worker_lost!? completed
retrying    turn       .          .          .          worker_lost!? completed
paused      turn       .          .          .          worker_lost!? completed
cancelling  cancelled  cancelled  forced     cancelled  cancelled     completed`,
  ],
  [
    'everything at once: the end that the queue has, the cancel, the time',
    { started: 1e6, asked: 1e6, silent: 1e6, unlocked: 1e6, attempt: 3 },
    `
            held       waiting    locked     unlocked   missing    ended
queued      timeout    timeout    timeout    timeout    timeout    completed
running     timeout    timeout    timeout    timeout    timeout    completed
retrying    timeout    timeout    timeout    timeout    timeout    completed
paused      timeout    timeout    timeout    timeout    timeout    completed
cancelling  cancelled  cancelled  forced     cancelled  cancelled  completed`,
  ],
  [
    'a child of a job that has ended, whatever else',
    { isParentOver: true, started: 1e6, silent: 1e6, unlocked: 1e6 },
    `
            held       waiting    locked     unlocked    missing    ended
queued      end-child  end-child  end-child  end-child   end-child  end-child
running     end-child  end-child  end-child  end-child   end-child  end-child
retrying    end-child  end-child  end-child  end-child   end-child  end-child
paused      end-child  end-child  end-child  end-child   end-child  end-child
cancelling  .          .          .          cancelled!  cancelled  completed`,
  ],
  [
    'a job in steps has no worker that could be lost, nor an end in the queue',
    { kind: 'optimization', silent: 1e6, unlocked: 1e6 },
    `
            held   waiting  locked  unlocked  missing  ended
queued      turn   .        .       .         add      .
running     step   step     step    step      step     step
retrying    step   step     step    step      step     step
paused      step   step     step    step      step     step
cancelling  step   step     step    step      step     step`,
  ],
  [
    'a job in steps that is out of time, or cancelling for too long',
    { kind: 'optimization', started: TIMEOUT_MS, asked: 5_001 },
    `
            held       waiting    locked   unlocked   missing    ended
queued      timeout    timeout    timeout  timeout    timeout    timeout
running     timeout    timeout    timeout  timeout    timeout    timeout
retrying    timeout    timeout    timeout  timeout    timeout    timeout
paused      timeout    timeout    timeout  timeout    timeout    timeout
cancelling  cancelled  cancelled  forced   cancelled  cancelled  cancelled`,
  ],
]

t.test('the decision of the sweeper, by the state of the job and its place in the queue', async (t) => {
  for (const [title, given, table] of CASES) t.equal(tableOf(given), plain(table), title)
})

t.test('a job that has never begun has all of its time', async (t) => {
  const state = { ...jobOf('queued', { started: 1e9 }), started_at: null }
  t.same(decide({ state, queued: { at: 'waiting' }, isParentOver: false, unlockedMs: 0 }, LIMITS, NOW), { do: 'keep' })
})

t.test('an end says why', async (t) => {
  const errorOf = (given: Given, queued: QueueState, unlockedMs = 0) => {
    const action = decide({ state: jobOf('running', given), queued, isParentOver: false, unlockedMs }, LIMITS, NOW)
    return action.do === 'end' && action.outcome.status === 'failed' ? action.outcome.error : action
  }
  t.equal(errorOf({}, { at: 'missing' }), 'The queue has lost this job.')
  t.equal(errorOf({ silent: 1e6 }, { at: 'active', isLocked: false }, 1e6), 'The worker was lost.')
  t.equal(errorOf({ silent: 1e6, attempt: 3 }, { at: 'waiting' }), 'The worker was lost in attempt 3 of 3.')
  t.equal(errorOf({ started: 1e6 }, { at: 'waiting' }), 'The job exceeded its time limit of 60 s.')
})

t.test('where a round stands: unknown, active, over', async (t) => {
  const phases = (state: JobState | undefined) => [1, 2, 3].map((round) => phaseOf({ id: 'a', round }, state)).join(' ')
  t.equal(phases(undefined), 'unknown unknown unknown', 'it has expired')
  for (const status of ACTIVE) t.equal(phases({ ...jobOf(status), round: 2 }), 'over active unknown', status)
  for (const status of ['completed', 'failed', 'cancelled'] as const)
    t.equal(phases({ ...jobOf(status), round: 2 }), 'over over unknown', status)
})
