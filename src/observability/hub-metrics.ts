import type { HttpTally } from '../http/plugins/counting.js'
import { allPass, type ReadinessChecks } from '../http/routes/health.js'
import type { Scrape } from '../http/routes/metrics.js'
import type { UpgradeLimit } from '../hub/guards/upgrade-limit.js'
import type { Hub } from '../hub/hub.js'
import type { HubTally } from '../hub/hub-tally.js'
import type { Session } from '../hub/session.js'
import type { ClaimService } from '../jobs/claims/claim-service.js'
import { CODES } from '../protocol/codes.js'
import type { Backlog } from '../queue/queue.js'
import type { QueueDepth, RedisDepths } from '../storage/redis/depths.js'
import { Exposition, type Sample, type Samples } from './exposition.js'
import { type JobSources, jobSamples, measureJobs, storeQueries } from './job-samples.js'
import { buildScrape, checkQuery, type Query } from './scrape.js'

export interface HubSources {
  readonly hub: Hub
  readonly server: { readonly tally: HttpTally; readonly sessions: Iterable<Session>; readonly readiness: ReadinessChecks }
  readonly upgrades: UpgradeLimit
  readonly claims: Pick<ClaimService, 'waiting' | 'taken'>
  readonly parts: JobSources & { readonly backlog: Pick<Backlog, 'workers'>; readonly broker: { ready(): Promise<boolean> } }
  readonly depths: Pick<RedisDepths, 'read'>
  /** Queues that are reported even if no job was ever added to them. */
  readonly queues: readonly string[]
}

/** Close code of a connection that was cut without a close frame (RFC 6455, section 7.4.1). */
const CUT_OFF = 1006

/** The `/metrics` of a hub. */
export function hubMetrics(sources: HubSources): Scrape {
  const exposition = new Exposition('hub')
  const { hub, server, parts } = sources
  server.tally.durations.listen((seconds, labels) => exposition.observe('runcast_http_request_seconds', seconds, labels))
  measureJobs(exposition, parts)
  return buildScrape(exposition, {
    own: () => ({ ...jobSamples(parts), ...clientSamples(sources), ...trafficSamples(hub.tally), ...requestSamples(sources) }),
    queries: () => queriesOf(sources),
    begin: () => hub.tally.deliveries.listen((seconds) => exposition.observe('runcast_publish_to_socket_seconds', seconds)),
  })
}

function clientSamples({ hub, server }: HubSources): Samples {
  const { tally, sessions } = server
  const backlogs = [...sessions].map(({ backlogBytes }) => backlogBytes)
  return {
    runcast_connections: byName(tally.connections),
    runcast_connections_opened_total: byName(tally.opened),
    runcast_sessions: alone([...sessions].filter(({ identity }) => identity).length),
    runcast_subscriptions: alone(hub.subscriptions),
    runcast_topics: alone(hub.topics),
    runcast_outbox_bytes: alone(backlogs.reduce((sum, bytes) => sum + bytes, 0)),
    runcast_outbox_largest_bytes: alone(backlogs.reduce((most, bytes) => Math.max(most, bytes), 0)),
    runcast_outbox_limit_bytes: alone(hub.limits.maxOutboxBytes),
  }
}

function trafficSamples(tally: HubTally): Samples {
  return {
    runcast_entries_received_total: alone(tally.received),
    runcast_entries_delivered_total: alone(tally.delivered),
    runcast_entries_conflated_total: alone(tally.conflated),
    runcast_resyncs_total: alone(tally.resyncs),
    runcast_heals_total: byName(tally.recoveries),
    runcast_closes_total: tally.closes.rows.map(([[reason], count]) => [
      [String(reason === 'stalled' ? CUT_OFF : CODES[reason].close), reason],
      count,
    ]),
  }
}

function requestSamples({ hub, server: { tally }, upgrades, claims, parts }: HubSources): Samples {
  const via = (name: string, refusals: HubTally['refusals']) => refusals.rows.map(([[code], count]): Sample => [[name, code], count])
  return {
    runcast_refusals_total: [...via('socket', hub.tally.refusals), ...via('http', tally.refusals)],
    runcast_upgrades_refused_total: upgrades.refused.rows,
    runcast_http_requests_total: tally.requests.rows,
    runcast_claims_waiting: alone(claims.waiting),
    runcast_claims_total: claims.taken.rows,
    runcast_jobs_retried_total: parts.tally.retried.rows,
  }
}

/**
 * Queries to Redis: one command for all depths, and one per queue for its workers. If one fails or is late, the others
 * still answer.
 */
function queriesOf({ server, parts, depths, queues }: HubSources): Query[] {
  const reading = depths.read()
  const workers = async () => {
    const found = await reading.catch(() => [])
    const names = [...new Set([...queues, ...found.map(({ queue }) => queue)])]
    return { runcast_queue_workers: (await Promise.all(names.map((queue) => workersOf(parts.backlog, queue)))).flat() }
  }
  return [
    checkQuery('runcast_ready', allPass(server.readiness)),
    ...storeQueries(parts.health, () => parts.broker.ready()),
    {
      answer: reading.then((read) => depthSamples(read, queues)),
      unknown: { runcast_queue_jobs: [], runcast_queue_head_wait_seconds: [] },
    },
    { answer: workers(), unknown: { runcast_queue_workers: [] } },
  ]
}

/** Empty if Redis does not allow listing its clients. */
async function workersOf(backlog: Pick<Backlog, 'workers'>, queue: string): Promise<Sample[]> {
  return backlog.workers(queue).then(
    (count) => [[[queue], count]],
    () => [],
  )
}

function depthSamples(read: readonly QueueDepth[], queues: readonly string[]): Samples {
  const empty = { waiting: 0, held: 0, active: 0, headWaitMs: 0 }
  const known = new Map<string, Omit<QueueDepth, 'queue'>>(queues.map((queue) => [queue, empty]))
  for (const { queue, ...depth } of read) known.set(queue, depth)
  const rows = [...known]
  return {
    runcast_queue_jobs: rows.flatMap(([queue, { waiting, held, active }]): Sample[] => [
      [[queue, 'waiting'], waiting],
      [[queue, 'held'], held],
      [[queue, 'active'], active],
    ]),
    runcast_queue_head_wait_seconds: rows.map(([queue, { headWaitMs }]) => [[queue], headWaitMs / 1000]),
  }
}

function alone(value: number): Sample[] {
  return [[[], value]]
}

function byName(values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([name, value]) => [[name], value])
}
