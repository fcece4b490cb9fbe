import t from 'tap'
import type { Entry } from '../../src/core/entry.js'
import { checkStints, type Stories } from '../e2e/lifecycle/check-stints.js'
import { CHECKS } from '../e2e/lifecycle/checks.js'
import type { Told } from '../e2e/lifecycle/heard.js'
import { INPUTS } from '../e2e/lifecycle/inputs.js'
import { FAULT_SORTS, planOf } from '../e2e/lifecycle/plan.js'
import type { JobRecord } from '../e2e/lifecycle/record.js'
import { longScale } from '../e2e/lifecycle/scales.js'

type Forged = Partial<Entry> & { readonly seq: number; readonly says?: object }

function entry({ seq, says = {}, ...rest }: Forged): Entry {
  const key = rest.to === 'completed' || rest.to === 'failed' || rest.to === 'cancelled' ? 'final' : rest.to ? 'status' : 'metric:f'
  const entryClass = key === 'final' ? 'final' : 'persisted'
  return { id: 'j', generation: 'g', seq, class: entryClass, key, body: Buffer.from(JSON.stringify({ seq, ...says })), ...rest }
}

const metric = (seq: number, value: number) => entry({ seq, key: `metric:m${value}`, says: { metric_name: `m${value}`, value } })
const tick = (seq: number, percent: number, elapsed_s: number) =>
  entry({ seq, class: 'transient', key: 'progress', says: { percent, elapsed_s } })

/** A run that is taken over by a second worker, fails, and is run again by its user. */
const STORY: readonly Entry[] = [
  entry({ seq: 1, to: 'queued' }),
  entry({ seq: 2, to: 'running' }),
  metric(3, 1),
  tick(4, 40, 0.5),
  metric(5, 2),
  entry({ seq: 6, to: 'retrying', clears: 'attempt' }),
  entry({ seq: 7, to: 'running' }),
  tick(8, 10, 0.1),
  metric(9, 1),
  entry({ seq: 10, to: 'failed' }),
  entry({ seq: 11, to: 'queued', clears: 'round' }),
  entry({ seq: 12, to: 'running' }),
  metric(13, 1),
  metric(14, 2),
  entry({ seq: 15, to: 'completed' }),
]

const VIEW = { status: 'completed', attempt: 1, seq: 15, epoch: 'e', final: { seq: 15 } }

/** What clients of it are told: one from the start, one that is cut off after the entry 9. */
const TOLD: readonly Told[] = [
  { type: 'status', seq: 1, recovered: false, epoch: 'e' },
  ...STORY.slice(1, 9).map(({ seq, class: entryClass }) => ({ type: entryClass === 'transient' ? 'progress' : 'metric_update', seq })),
  { type: 'status', seq: 11, recovered: true, epoch: 'e' },
  ...STORY.slice(9).map(({ seq }) => ({ type: 'status', seq })),
]

/** What everything looks like where this happened. */
function recordFrom(entries: readonly Entry[], told: readonly Told[] = TOLD, more: Partial<JobRecord> = {}): JobRecord {
  const log = entries.filter((each) => each.class !== 'transient')
  const last = log.at(-1)
  const stored = {
    status: last?.to ?? '',
    round: 1 + log.filter(({ clears }) => clears === 'round').length,
    seq: last?.seq ?? 0,
    persisted: log.length,
  }
  const state = { ...VIEW, status: stored.status, seq: stored.seq, result: { seq: last?.seq } }
  const events = (dialect: 'run' | 'process') =>
    log.filter(({ key }) => dialect === 'run' || !key.startsWith('metric:')).map(({ seq }) => ({ seq }))
  return {
    id: 'j',
    input: 'short run',
    stored,
    log,
    published: entries.map((each) => ({ ...each, line: 0 })),
    rest: { run: { state, events: events('run') }, process: { state, events: events('process') } },
    heard: [{ who: 'somebody', dialect: 'run', told, view: VIEW }],
    ...more,
  }
}

/** The names of the checks that find something. */
function found(record: JobRecord, redisRestarts = 0): string[] {
  const stories: Stories = new Map([['short run', ['m1 1', 'm2 2']]])
  return Object.entries(CHECKS)
    .filter(([, check]) => check(record, { stories, redisRestarts }).length > 0)
    .map(([name]) => name)
}

const without = (...seqs: number[]) => STORY.filter(({ seq }) => !seqs.includes(seq))
const replaced = (other: Entry) => STORY.map((each) => (each.seq === other.seq ? other : each))
const good = recordFrom(STORY)

t.test('a job that went right is found right', async (t) => {
  t.same(found(good), [])
})

t.test('each check of the chaos test finds what it is there for', async (t) => {
  const [FINAL, AFTER, SEQ, BYTES, MACHINE, STORED, REST, WRITER, CLIENTS] = Object.keys(CHECKS)
  const cases: readonly (readonly [string, string | undefined, JobRecord])[] = [
    ['a second final entry', FINAL, recordFrom(replaced(entry({ seq: 9, to: 'failed' })))],
    ['a round without a final entry', FINAL, recordFrom(without(10))],
    ['a round that only the state knows', FINAL, { ...good, stored: { ...good.stored, round: 3 } }],
    ['a measurement after the end', AFTER, recordFrom([...STORY, metric(16, 1)])],
    ['a tick after the end', AFTER, recordFrom([...STORY, tick(16, 99, 9)])],
    ['a seq twice', SEQ, { ...good, log: [...good.log.slice(0, 3), metric(3, 1), ...good.log.slice(3)] }],
    ['a hole in what was published', SEQ, { ...good, published: good.published.filter(({ seq }) => seq !== 4) }],
    ['an entry that was counted and is not there', SEQ, { ...good, stored: { ...good.stored, persisted: 14 } }],
    ['a seq that was counted and is not there', SEQ, { ...good, stored: { ...good.stored, seq: 16 } }],
    ['other bytes in the log', BYTES, { ...good, log: replaced(metric(5, 7)).filter((each) => each.class !== 'transient') }],
    ['a tick in the log', BYTES, { ...good, log: [...STORY] }],
    ['a start out of nothing', MACHINE, recordFrom(without(11))],
    ['another state than the last event', STORED, { ...good, stored: { ...good.stored, status: 'failed' } }],
    ['REST with another state', STORED, { ...good, rest: { ...good.rest, run: { state: { ...VIEW, seq: 14 }, events: [] } } }],
    ['REST without an entry', REST, { ...good, rest: { ...good.rest, run: { state: good.rest.run?.state, events: [{ seq: 1 }] } } }],
    ['a zombie that measures', WRITER, recordFrom(replaced(metric(9, 2)))],
    ['a zombie that measures what came already', WRITER, recordFrom(replaced(metric(14, 1)))],
    ['a zombie whose bar falls', WRITER, recordFrom(replaced(tick(8, 10, 0.1)).toSpliced(8, 0, { ...tick(8, 5, 0.2) }))],
    ['a zombie with another clock', WRITER, recordFrom(STORY.map((each) => (each.seq === 9 ? tick(9, 20, 0.05) : each)))],
    ['a measurement while nobody runs it', WRITER, recordFrom(replaced(entry({ seq: 12, to: 'queued' })))],
    ['an end before the story is told', WRITER, recordFrom(without(14))],
    ['a client that is told something twice', CLIENTS, recordFrom(STORY, [...TOLD.slice(0, 3), ...TOLD.slice(2)])],
    [
      'a client that misses something',
      CLIENTS,
      recordFrom(
        STORY,
        TOLD.toSpliced(3, 1).filter(({ seq }) => seq !== 5),
      ),
    ],
    ['a client that is told in another order', CLIENTS, recordFrom(STORY, TOLD.toSpliced(4, 2, ...TOLD.slice(4, 6).toReversed()))],
    ['a client that is told what never was', CLIENTS, recordFrom(STORY, [...TOLD, { type: 'metric_update', seq: 16 }])],
    [
      'a client that had to begin anew',
      CLIENTS,
      recordFrom(
        STORY,
        TOLD.map((told) => (told.seq === 11 && told.recovered ? { ...told, recovered: false } : told)),
      ),
    ],
    [
      'a client with another count',
      CLIENTS,
      recordFrom(
        STORY,
        TOLD.map((told) => (told.recovered ? { ...told, epoch: 'other' } : told)),
      ),
    ],
    [
      'a client that sees another state in the end',
      CLIENTS,
      recordFrom(STORY, TOLD, { heard: [{ who: 'x', dialect: 'run', told: TOLD, view: { ...VIEW, status: 'failed' } }] }),
    ],
    [
      'a client without the final message',
      CLIENTS,
      recordFrom(STORY, TOLD, { heard: [{ who: 'x', dialect: 'run', told: TOLD, view: { ...VIEW, final: null } }] }),
    ],
  ]
  for (const [what, name, record] of cases) t.ok(found(record).includes(name ?? ''), `${what}: ${found(record)}`)
})

t.test('what is right only because Redis was started anew is right only then', async (t) => {
  const anew = TOLD.map((told) => (told.recovered ? { ...told, recovered: false, epoch: 'other' } : told))
  t.same(found(recordFrom(STORY, anew), 1), [])
  t.not(found(recordFrom(STORY, anew), 0).length, 0)
  const entries = TOLD.filter(({ recovered }) => recovered === undefined)
  const againIn = (epoch: string) => entries.map((told, i) => (i === 0 ? { ...told, epoch } : told))
  t.same(found(recordFrom(STORY, [...TOLD, ...againIn('other')]), 1), [], 'from its log, in a new epoch')
  t.not(found(recordFrom(STORY, [...TOLD, ...againIn('other')]), 0).length, 0)
  t.not(found(recordFrom(STORY, [...TOLD, ...againIn('e')]), 1).length, 0)
})

t.test('the story of an input is the longest one that was told', async (t) => {
  const stories: Stories = new Map()
  t.same(checkStints(good, stories), [])
  t.same(stories.get('short run'), ['m1 1', 'm2 2'])
  t.not(checkStints(recordFrom(without(13, 14)), stories).length, 0)
})

t.test('what a chaos run does comes from its seed alone', async (t) => {
  const scale = longScale(600)
  t.same(planOf(7, scale), planOf(7, scale))
  t.not(JSON.stringify(planOf(7, scale)), JSON.stringify(planOf(8, scale)))
  t.same(new Set(planOf(7, scale).faults.map(({ sort }) => sort)), new Set(FAULT_SORTS), 'and meets everything in the end')
  t.same(new Set(planOf(7, scale).jobs.map(({ input }) => input)), new Set(Object.keys(INPUTS)))
})
