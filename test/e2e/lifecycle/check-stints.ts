import type { Entry } from '../../../src/core/entry.js'
import { messageOf } from '../../../src/core/entry.js'
import { isFinal } from '../../../src/protocol/status.js'
import { INPUTS, type InputName } from './inputs.js'
import { MARK } from './ledger.js'
import type { JobRecord, Said } from './record.js'

/**
 * The reports of one input by their subject: values of a metric by their point, everything else in its order.
 * Of a metric not every point has an entry: points that come fast share one.
 */
type Story = Map<string, string[]>

/**
 * The longest report of each input. Every stint repeats it from its beginning: the computation is deterministic.
 */
export type Stories = Map<InputName, Story>

/** What one worker says between a start and the next status of the job. */
interface Stint {
  readonly story: Story
  elapsed: number
}

/** Everything that is no metric; the order in which metrics begin, since the first point of each is sent at once. */
const [OTHERS, METRICS] = ['', ' ']

const MAY_SPEAK = ['running', 'cancelling']

/**
 * [STATE-3] [STATE-6] A zombie that was let in would be seen here: its measurements stand among those of the worker that has taken over, its clock is another one, and
 * its percent falls. Also what was lost on the way to Redis, or written twice, is no beginning of the story.
 */
export function checkStints({ input, log, published }: JobRecord, stories: Stories): string[] {
  const ticks = published.filter((entry) => entry.class === 'transient')
  const entries: Entry[] = [...log, ...ticks].toSorted((a, b) => a.seq - b.seq)
  const faults: string[] = []
  let status = ''
  let reached = 0
  let stint: Stint | undefined
  /** Points of each metric in this attempt: a job that was returned to the queue goes on in it. */
  let points = new Map<string, number>()
  let before = new Map<string, number>()
  const end = (isWhole: boolean) => {
    if (stint) faults.push(...judge(stint.story, input, stories, isWhole))
    stint = undefined
  }
  for (const entry of entries) {
    const message: Said = messageOf(entry)
    if (entry.clears) [reached, points] = [0, new Map()]
    if (entry.to === undefined) {
      if (!MAY_SPEAK.includes(status) || !stint) faults.push(`${entry.key} ${entry.seq} while it was ${status}`)
      else if (entry.key === 'progress') {
        const at = message.percent ?? message.progress.current
        if (at < reached) faults.push(`progress fell from ${reached} to ${at} at ${entry.seq}`)
        if ((message.elapsed_s ?? 0) < stint.elapsed)
          faults.push(`the clock fell from ${stint.elapsed} to ${message.elapsed_s} at ${entry.seq}`)
        reached = at
        stint.elapsed = message.elapsed_s ?? 0
      } else if (isOfTheStory(entry.key, input)) {
        const { metric_name: name = OTHERS, n } = message
        const told = stint.story.get(name) ?? []
        if (name !== OTHERS && told.length === 0) stint.story.set(METRICS, [...(stint.story.get(METRICS) ?? []), name])
        stint.story.set(name, told)
        const at = n === undefined ? told.length : n - 1 - (before.get(name) ?? 0)
        if (at < told.length) faults.push(`${name} has ${n} points again at ${entry.seq}`)
        told[at] = lineOf(message)
        if (n !== undefined) points.set(name, n)
      }
      continue
    }
    if (isFinal(entry.to)) end(entry.to === 'completed')
    else if (entry.to !== 'cancelling') end(false)
    if (entry.to === 'running') [stint, before] = [{ story: new Map(), elapsed: 0 }, new Map(points)]
    status = entry.to
  }
  return faults
}

/**
 * Of an optimization only the number of its points is the same each time. Which of them fail, and when the front is
 * reported, differs. The mark belongs to one computation.
 */
function isOfTheStory(key: string, input: InputName): boolean {
  return key !== `metric:${MARK}` && (INPUTS[input].kind !== 'optimization' || key === 'iteration')
}

/** What a deterministic computation says the same each time: of a benchmark, which request it was. */
function lineOf({ metric_name, value, result, iteration }: Said): string {
  if (iteration !== undefined) return `iteration ${iteration}`
  return result ? `${result.model} ${result.context_tier} ${result.run}` : `${metric_name} ${value}`
}

/** One story is the beginning of the other; one that was told to its end is no shorter than any. */
function judge(story: Story, input: InputName, stories: Stories, isWhole: boolean): string[] {
  const known: Story = stories.get(input) ?? new Map()
  const faults = [...story].flatMap(([about, told]) => {
    const others = known.get(about) ?? []
    const other = told.find((line, i) => others[i] !== undefined && line !== undefined && line !== others[i])
    if (other !== undefined) return [`the story of ${input} says ${other}, where others say ${others[told.indexOf(other)]}`]
    for (const [i, line] of told.entries()) if (line !== undefined) others[i] = line
    known.set(about, others)
    return []
  })
  stories.set(input, known)
  if (!isWhole) return faults
  const missing = [...known].flatMap(([about, others]) => {
    const count = story.get(about)?.length ?? 0
    return count < others.length
      ? [`completed after ${count} of ${others.length} entries of ${input} about ${about.trim() || 'the rest'}`]
      : []
  })
  return [...faults, ...missing]
}
