import type { HubAccess } from '../../client/hub-access.js'
import { countOf, defineCommand, usageError } from '../command.js'
import { EXIT } from '../exit-code.js'
import { callHub, HUB_OPTIONS, hubOf } from '../hub-access.js'
import { jobsOf, pathWith } from '../hub-list.js'
import { jsonLine } from '../plain-text.js'
import { type Cell, tableOf } from '../table.js'

const DEFAULT_LIMIT = 100
const MAX_PAGE = 1000
const BASE = '/api/admin'
const VIEWS = ['jobs', 'sessions', 'workers', 'queues', 'disconnect'] as const

// biome-ignore lint/suspicious/noExplicitAny: the hub's schemas describe each answer
type Row = any
type Answer = Readonly<Record<string, Row>>

/** What all users, hubs and workers do; ends sessions. */
export const admin = defineCommand({
  about: 'Shows the jobs, sessions, workers or queues of all users, or ends sessions (disconnect). Needs a token of the role admin.',
  operands: ['view'],
  values: VIEWS,
  options: {
    user: { value: '<sub>', about: 'jobs, sessions, disconnect: only of this user' },
    limit: { value: '<count>', about: `jobs, sessions: how many; default: ${DEFAULT_LIMIT}` },
    session: { value: '<id>', about: 'disconnect: this session' },
    reconnect: { about: 'disconnect: the clients connect again' },
    json: { about: 'the answer as a line of JSON' },
    ...HUB_OPTIONS,
  },
  notes: ['disconnect keeps nobody out: revoke the tokens of the user first.'],
  run: async ({ view }, given) => {
    const { user, session } = given
    const limit = countOf('admin', 'limit', given.limit, DEFAULT_LIMIT)
    if (view === 'disconnect' && (user === undefined) === (session === undefined))
      throw usageError('admin', 'disconnect: expected --session or --user')
    const hub = hubOf('admin', given)
    const reconnect = given.reconnect === true
    const answer = await ask(hub, view, { user, session, limit, reconnect })
    process.stdout.write(given.json === true ? `${jsonLine(answer)}\n` : shown(view, answer))
    return EXIT.ok
  },
})

interface Wanted {
  readonly user: string | undefined
  readonly session: string | undefined
  readonly limit: number
  readonly reconnect: boolean
}

async function ask(hub: HubAccess, view: string, { user, session, limit, reconnect }: Wanted): Promise<Answer> {
  if (view === 'jobs') return jobsOf(hub, `${BASE}/jobs`, { user }, { limit, maxPage: MAX_PAGE })
  if (view === 'sessions') return callHub(hub, 'GET', pathWith(`${BASE}/sessions`, { user, limit: Math.min(limit, MAX_PAGE) }))
  if (view !== 'disconnect') return callHub(hub, 'GET', `${BASE}/${view}`)
  const path = session === undefined ? `${BASE}/sessions` : `${BASE}/sessions/${encodeURIComponent(session)}`
  return callHub(hub, 'DELETE', pathWith(path, { user, ...(reconnect && { reconnect: 'true' }) }))
}

function shown(view: string, answer: Answer): string {
  switch (view) {
    case 'jobs':
      return table(answer.jobs, {
        job: ({ id }) => id,
        kind: ({ kind }) => kind,
        user: ({ user }) => user,
        status: ({ status }) => status,
        attempt: ({ attempt }) => attempt,
        created: ({ created_at }) => created_at,
        worker: ({ worker }) => worker,
      })
    case 'queues':
      return [
        queueTable(answer.queues),
        table(answer.users, { queue: ({ queue }) => queue, user: ({ user }) => user, waiting: waitingOf }),
      ].join('\n')
    case 'workers':
      return [workerTable(answer.workers), claimTable(answer.claims)].join('\n')
    case 'sessions':
      return `${sessionTable(answer.sessions)}${answer.total} in all${silentOf(answer)}\n`
    default:
      return `${answer.disconnected} disconnected${silentOf(answer)}\n`
  }
}

const waitingOf = ({ waiting }: Row): Cell => waiting

function sessionTable(sessions: readonly Row[]): string {
  return table(sessions, {
    session: ({ id }) => id,
    user: ({ user }) => user,
    via: ({ via }) => via,
    ip: ({ ip }) => ip,
    since: ({ since }) => since,
    follows: ({ follows }) => (follows.scope === 'job' ? follows.jobs : `${follows.count} jobs`),
    backlog: ({ backlog_bytes }) => backlog_bytes,
    hub: ({ node }) => node,
  })
}

function queueTable(queues: readonly Row[]): string {
  const names = ['queue', 'waiting', 'held', 'admitted', 'running', 'delayed', 'workers'] as const
  return table(queues, Object.fromEntries(names.map((name) => [name, (queue: Row): Cell => queue[name]])))
}

function workerTable(workers: readonly Row[]): string {
  const useOf = (queues: readonly Row[]) => queues.map(({ queue, running, slots }) => `${queue}:${running}/${slots}`)
  return table(workers, {
    worker: ({ id }) => id,
    host: ({ host, pid }) => `${host}:${pid}`,
    version: ({ version }) => version,
    since: ({ started_at }) => started_at,
    queues: ({ queues }) => useOf(queues),
    jobs: ({ jobs }) => jobs,
  })
}

function claimTable(claims: readonly Row[]): string {
  return table(claims, {
    claim: ({ job }) => job,
    queue: ({ queue }) => queue,
    by: ({ by }) => by,
    expires: ({ expires_in_s }) => `${expires_in_s} s`,
  })
}

function table(rows: readonly Row[], columns: Readonly<Record<string, (row: Row) => Cell>>): string {
  return tableOf(
    Object.keys(columns),
    rows.map((row) => Object.values(columns).map((column) => column(row))),
  )
}

function silentOf({ silent }: Answer): string {
  return silent.length === 0 ? '' : `; these hubs did not answer: ${silent.join(', ')}`
}
