import type { WireJob } from '../../client/job-info.js'
import { STATUSES } from '../../protocol/status.js'
import { countOf, defineCommand, usageError } from '../command.js'
import { EXIT } from '../exit-code.js'
import { HUB_OPTIONS, hubOf } from '../hub-access.js'
import { jobsOf } from '../hub-list.js'
import { ageOf, progressOf } from '../job-text.js'
import { jsonLine } from '../plain-text.js'
import { tableOf, terminalWidth } from '../table.js'

const DEFAULT_LIMIT = 50
/** Of `GET /api/jobs`. */
const MAX_PAGE = 200

/** Lists jobs of the user. */
export const list = defineCommand({
  about: 'Lists your jobs of any kind, newest first.',
  operands: [],
  options: {
    kind: { value: '<name>', about: 'only jobs of this kind' },
    status: {
      value: '<status>',
      values: ['active', 'final', ...STATUSES],
      about: `active (not ended), final (ended), ${STATUSES.join(', ')}`,
    },
    tag: { value: '<tag>', about: 'only jobs with this tag' },
    title: { value: '<text>', about: 'only jobs whose title begins so, in any case' },
    parent: { value: '<id>', about: 'children of this job; default: none, the jobs that are no children; any: all of them' },
    since: { value: '<time>', about: 'submitted at this time or later: 2026-11-30 (in UTC), 2026-11-30T08:00 (local), 2026-11-30T08:00Z' },
    until: { value: '<time>', about: 'submitted at this time or earlier' },
    limit: { value: '<count>', about: `how many; default: ${DEFAULT_LIMIT}` },
    all: { about: 'without a limit' },
    json: { about: 'a line of JSON per job' },
    ...HUB_OPTIONS,
  },
  notes: ['In a terminal lines are cut to its width.'],
  run: async (_, given) => {
    if (given.all && given.limit !== undefined) throw usageError('list', 'expected --limit or --all, not both')
    const limit = given.all ? Number.POSITIVE_INFINITY : countOf('list', 'limit', given.limit, DEFAULT_LIMIT)
    const { kind, status, tag, title, parent = 'none', since, until } = given
    const period = { since: timeOf('since', since), until: timeOf('until', until) }
    const query = { kind, status, tag, title, parent: parent === 'any' ? undefined : parent, ...period }
    const { jobs, cursor } = await jobsOf<WireJob>(hubOf('list', given), '/api/jobs', query, { limit, maxPage: MAX_PAGE })
    if (given.json) for (const job of jobs) process.stdout.write(`${jsonLine(job)}\n`)
    else {
      process.stdout.write(jobTable(jobs, Date.now(), terminalWidth()))
      if (cursor !== null) process.stderr.write('There are more jobs: see --limit and --all.\n')
    }
    return EXIT.ok
  },
})

/** In UTC. A time without a zone is local. */
function timeOf(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined
  const ms = /^\d{4}-/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(ms)) throw usageError('list', `--${option}: expected a time, as 2026-11-30 or 2026-11-30T08:00Z`)
  return new Date(ms).toISOString()
}

/** Jobs as a table, cut to `width` columns. `now`: ms. */
export function jobTable(jobs: readonly WireJob[], now: number, width?: number): string {
  const rows = jobs.map((job) => [job.id, job.kind, job.status, progressOf(job), ageOf(job.created_at, now), job.title])
  // The title last: it is what a narrow terminal cuts.
  return tableOf(['job', 'kind', 'status', 'progress', 'age', 'title'], rows, width)
}
