import type { Entry } from '../../../src/core/entry.js'
import { messageOf } from '../../../src/core/entry.js'
import { isFinal } from '../../../src/protocol/status.js'
import { INPUTS, type InputName } from './inputs.js'
import type { JobRecord, Said } from './record.js'

/** The longest story that was told of each input: every stint tells it from its beginning, since the computation is deterministic. */
export type Stories = Map<InputName, readonly string[]>

/** What one worker says between a start and the next status of the job. */
interface Stint {
  readonly story: string[]
  elapsed: number
}

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
  const end = (isWhole: boolean) => {
    if (stint) faults.push(...judge(stint.story, input, stories, isWhole))
    stint = undefined
  }
  for (const entry of entries) {
    const message: Said = messageOf(entry)
    if (entry.clears) reached = 0
    if (entry.to === undefined) {
      if (!MAY_SPEAK.includes(status) || !stint) faults.push(`${entry.key} ${entry.seq} while it was ${status}`)
      else if (entry.key === 'progress') {
        const at = message.percent ?? message.progress.current
        if (at < reached) faults.push(`progress fell from ${reached} to ${at} at ${entry.seq}`)
        if ((message.elapsed_s ?? 0) < stint.elapsed)
          faults.push(`the clock fell from ${stint.elapsed} to ${message.elapsed_s} at ${entry.seq}`)
        reached = at
        stint.elapsed = message.elapsed_s ?? 0
      } else if (isOfTheStory(entry.key, input)) stint.story.push(lineOf(message))
      continue
    }
    if (isFinal(entry.to)) end(entry.to === 'completed')
    else if (entry.to !== 'cancelling') end(false)
    if (entry.to === 'running') stint = { story: [], elapsed: 0 }
    status = entry.to
  }
  return faults
}

/** Of an optimization only the count of its points is the same each time: which of them fail, and when the front is told, is not. */
function isOfTheStory(key: string, input: InputName): boolean {
  return INPUTS[input].kind !== 'optimization' || key === 'iteration'
}

/** What a deterministic computation says the same each time: of a benchmark, which request it was. */
function lineOf({ metric_name, value, result, iteration }: Said): string {
  if (iteration !== undefined) return `iteration ${iteration}`
  return result ? `${result.model} ${result.context_tier} ${result.run}` : `${metric_name} ${value}`
}

/** One story is the beginning of the other; one that was told to its end is no shorter than any. */
function judge(story: readonly string[], input: InputName, stories: Stories, isWhole: boolean): string[] {
  const known = stories.get(input) ?? []
  const at = story.findIndex((line, i) => i < known.length && line !== known[i])
  if (at >= 0) return [`the story of ${input} says ${story[at]}, where others say ${known[at]}`]
  if (story.length > known.length) stories.set(input, story)
  return isWhole && story.length < known.length ? [`completed after ${story.length} of ${known.length} entries of ${input}`] : []
}
