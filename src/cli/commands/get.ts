import { loadKinds } from '../../app/load-kinds.js'
import type { WireJob } from '../../client/job-info.js'
import type { FinalMessage } from '../../client/job-view.js'
import type { FinalProcessMessage } from '../../client/process-view.js'
import type { KindDisplay } from '../../core/kind.js'
import { defineCommand } from '../command.js'
import { EXIT } from '../exit-code.js'
import { callHub, HUB_OPTIONS, hubOf } from '../hub-access.js'
import { ageOf, progressOf } from '../job-text.js'
import { jsonLine, jsonText } from '../plain-text.js'
import { ProcessDisplay } from '../process-display.js'
import { ProgressDisplay } from '../progress-display.js'
import { alignedLines, type Cell } from '../table.js'

/** Shows the state of a job, or its input. */
export const get = defineCommand({
  about: 'Shows the state of a job of any kind, and its result if it has ended.',
  operands: ['id'],
  options: {
    input: { about: 'its input with the defaults, instead of the state: JSON for --input of submit' },
    json: { about: 'a line of JSON' },
    ...HUB_OPTIONS,
  },
  run: async ({ id }, given) => {
    const hub = hubOf('get', given)
    const { kinds } = await loadKinds(process.env)
    const path = `/api/jobs/${encodeURIComponent(id)}`
    const answer = await callHub(hub, 'GET', given.input ? `${path}/input` : path)
    if (given.json || given.input) process.stdout.write(`${given.json ? jsonLine(answer) : jsonText(answer)}\n`)
    else {
      const job = answer as unknown as WireJob // as every hub answers
      showState(job, process.stdout, kinds.find(job.kind)?.display)
    }
    return EXIT.ok
  },
})

/** Shows the state as lines of name and value, and the end as a watch does. `hints`: those of the job's kind. */
export function showState({ final, ...job }: WireJob, out: NodeJS.WriteStream, hints?: KindDisplay): void {
  const lines = stateLines(job, Date.now()).filter(([, value]) => value !== null && value !== undefined && String(value) !== '')
  out.write(alignedLines(lines))
  // The type of the message names its dialect.
  if (final?.type.startsWith('process_')) new ProcessDisplay(out, hints).finish(final as FinalProcessMessage)
  else new ProgressDisplay(out, hints).finish(final as FinalMessage | null)
}

function stateLines(job: Omit<WireJob, 'final'>, now: number): (readonly [name: string, value: Cell])[] {
  const { id, kind, solver, status, attempt, stale, progress, title, tags, metadata, parent_id } = job
  const at = (time: string | null) => time && `${time} (${ageOf(time, now)} ago)`
  return [
    ['job', id],
    ['kind', kind],
    ['solver', solver],
    ['title', title],
    ['tags', tags],
    ['metadata', metadata && jsonLine(metadata)],
    ['parent', parent_id],
    ['status', `${status}${attempt > 1 ? `, attempt ${attempt}` : ''}${stale ? ', no sign of life from its worker' : ''}`],
    ['progress', progress && [progressOf(job), progress.phase, progress.model, progress.detail].filter(Boolean).join('  ')],
    ['submitted', at(job.created_at)],
    ['started', at(job.started_at)],
    ['ended', at(job.finished_at)],
  ]
}
