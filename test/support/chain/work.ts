import { v7 as uuidv7 } from 'uuid'
import { controlWriter, type JobEvent, messageOf } from '../../../src/core/entry.js'
import type { JobState } from '../../../src/core/job-state.js'
import { finalize } from '../../../src/jobs/finalize.js'
import { cancelChildren } from '../../../src/jobs/sweeper/cancel-children.js'
import { isFinal } from '../../../src/protocol/status.js'
import { type Outcome, queuedRoundOf } from '../../../src/queue/queue.js'
import { implement, type StepContext } from '../../../src/worker/implement.js'
import { chainEvents, chainKind } from './kind.js'

/** The checkpoint of a chain. `open`: the run of the next link. */
interface Progress {
  readonly lengths: readonly number[]
  readonly open: string | null
}

export const chainWork = implement(chainKind, {
  steps: (context) => async (id) => {
    while (await goesOn(context, id));
  },
})

/** One action; false if the chain waits or has ended. Of two steps with the same checkpoint only one succeeds. */
async function goesOn(context: StepContext, id: string): Promise<boolean> {
  const { broker, jobs } = context
  const state = (await broker.read(id))?.state
  if (!state || isFinal(state.status)) return false
  const end = async (outcome: Outcome) => {
    await finalize(context, queuedRoundOf(state), outcome, 'worker')
    return false
  }
  if (state.status === 'cancelling') return (await cancelChildren(context, state)) ? end({ status: 'cancelled' }) : false
  const checkpoint = await broker.load(id)
  const before = checkpoint?.round === state.round ? (JSON.parse(checkpoint.data) as Progress) : null
  const { lengths, open } = before ?? { lengths: [], open: null }
  const advance = async (next: Progress, ...events: JobEvent[]) => {
    const data = { version: (checkpoint?.version ?? 0) + 1, children: next.open === null ? [] : [next.open], data: JSON.stringify(next) }
    return (await broker.advance(id, events, controlWriter(state.round), data)).ok
  }
  if (!before) return advance({ lengths, open }, chainEvents.status(id, 'running'))
  const { links, base } = JSON.parse(state.input) as { links: number; base: object }
  if (open === null && lengths.length === links)
    return end({ status: 'completed', result: { metrics_summary: { length: sum(lengths) } }, compute_time_s: 0 })
  if (open === null) return advance({ lengths, open: uuidv7() })
  const run = (await broker.read(open))?.state
  if (!run) await jobs.submit({ id: open, kind: 'run', owner: state.owner, parent: id, input: base })
  if (!run || !isFinal(run.status)) return false
  const length = lengthOf(run)
  return advance({ lengths: [...lengths, length], open: null }, chainEvents.link(id, open, length))
}

function lengthOf({ latest }: JobState): number {
  const final = latest.get('final')
  return final ? (messageOf(final).metrics_summary as { length: number }).length : 0 // a metric of its run
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}
