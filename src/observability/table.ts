/** Who serves a metric: hubs, workers, or both. */
export type ServedBy = 'hub' | 'worker' | 'both'

export interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly of: ServedBy
  readonly labels: readonly string[]
  /** Description for `# HELP` and the table in docs/operations.md. */
  readonly help: string
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[]
}

/** From delays that nobody notices to delays that everybody notices. */
const DELIVERY_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const REQUEST_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const CANCEL_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60]

/**
 * THE table of metrics, in addition to the default metrics of prom-client. All its metrics are served, and the table in
 * docs/operations.md is generated from it.
 */
export const METRICS = {
  runcast_connections: { type: 'gauge', of: 'hub', labels: ['transport'], help: 'Open connections of clients, `websocket` or `sse`.' },
  runcast_connections_opened_total: { type: 'counter', of: 'hub', labels: ['transport'], help: 'Connections of clients that were opened.' },
  runcast_sessions: { type: 'gauge', of: 'hub', labels: [], help: 'Open connections whose client has proved who it is.' },
  runcast_subscriptions: { type: 'gauge', of: 'hub', labels: [], help: 'Jobs followed, summed over all clients.' },
  runcast_topics: { type: 'gauge', of: 'hub', labels: [], help: 'Different jobs that this hub follows in Redis for its clients.' },
  runcast_entries_received_total: { type: 'counter', of: 'hub', labels: [], help: 'Entries of jobs that came from Redis.' },
  runcast_entries_delivered_total: { type: 'counter', of: 'hub', labels: [], help: 'Entries handed to sockets, each client counted.' },
  runcast_entries_conflated_total: {
    type: 'counter',
    of: 'hub',
    labels: [],
    help: 'Transient entries left out for a slow client, since a newer one of the same key came.',
  },
  runcast_resyncs_total: {
    type: 'counter',
    of: 'hub',
    labels: [],
    help: 'Clients that were too slow, lost their backlog and read again: each gets a fresh snapshot.',
  },
  runcast_heals_total: {
    type: 'counter',
    of: 'hub',
    labels: ['result'],
    help: 'Times a job was read again: `nothing` was missing, `entries` were, only the whole `state` could be told, it is `gone`, Redis is `unreachable`.',
  },
  runcast_publish_to_socket_seconds: {
    type: 'histogram',
    of: 'hub',
    labels: [],
    buckets: DELIVERY_S,
    help: 'From the timestamp of a persisted message to the first socket of this hub that it is handed to, once per message, by the clock of Redis; less than 0 counts as 0.',
  },
  runcast_outbox_bytes: { type: 'gauge', of: 'hub', labels: [], help: 'Bytes that wait in this process for clients, in all.' },
  runcast_outbox_largest_bytes: { type: 'gauge', of: 'hub', labels: [], help: 'Bytes that wait for the slowest client.' },
  runcast_outbox_limit_bytes: {
    type: 'gauge',
    of: 'hub',
    labels: [],
    help: 'Most bytes that may wait for one client: `MAX_OUTBOX_BYTES`.',
  },
  runcast_closes_total: {
    type: 'counter',
    of: 'hub',
    labels: ['code', 'reason'],
    help: 'Sessions that this hub closed, by close code and its name; `stalled` (1006): cut off, since the client read nothing any more. Not those of a page that may not connect (`runcast_refusals_total`, `forbidden`), and not what the WebSocket library closes by itself (1002, 1007 and 1009: frames that are not valid or too big).',
  },
  runcast_refusals_total: {
    type: 'counter',
    of: 'hub',
    labels: ['via', 'code'],
    help: 'Requests that were refused, by name of the code: over a `socket`, or `http`.',
  },
  runcast_upgrades_refused_total: {
    type: 'counter',
    of: 'hub',
    labels: ['reason'],
    help: 'Connections that were not let in: the hub was `draining` or `full`, too many had sent no token yet (`pending`), or the `rate` of an address was too high.',
  },
  runcast_http_requests_total: {
    type: 'counter',
    of: 'hub',
    labels: ['method', 'route', 'status'],
    help: 'HTTP requests at their end, by pattern of the route (`unmatched` where there is none); `aborted`: the client left before an answer; a stream counts when it ends. WebSockets that were taken are in `runcast_connections_opened_total` alone.',
  },
  runcast_http_request_seconds: {
    type: 'histogram',
    of: 'hub',
    labels: ['method', 'route'],
    buckets: REQUEST_S,
    help: 'Time to answer an HTTP request, without streams. A claim may wait for as long as its `wait_s`.',
  },
  runcast_claims_waiting: { type: 'gauge', of: 'hub', labels: [], help: 'Workers over HTTP that wait on this hub for a job.' },
  runcast_claims_total: { type: 'counter', of: 'hub', labels: ['queue'], help: 'Jobs handed to workers over HTTP.' },
  runcast_queue_jobs: {
    type: 'gauge',
    of: 'hub',
    labels: ['queue', 'state'],
    help: 'Jobs that wait and may be handed out as soon as a worker is free (`waiting`), that wait since their user has as many handed out as they may (`held`), and that were handed out and have not ended (`active`). Of all of Redis: every hub says the same, so take `max`.',
  },
  runcast_queue_head_wait_seconds: {
    type: 'gauge',
    of: 'hub',
    labels: ['queue'],
    help: 'How long the next job of a queue waits for a worker to take it; 0 where none does. Every hub says the same.',
  },
  runcast_queue_workers: {
    type: 'gauge',
    of: 'hub',
    labels: ['queue'],
    help: 'Workers that are connected to a queue, without those over HTTP. Every hub says the same.',
  },
  runcast_jobs: {
    type: 'gauge',
    of: 'both',
    labels: ['kind', 'status'],
    help: 'Jobs that were handed out and have not ended, at the last look of the sweeper; only the process that sweeps has it. A run of an optimization counts as a run.',
  },
  runcast_jobs_submitted_total: {
    type: 'counter',
    of: 'both',
    labels: ['kind'],
    help: 'Jobs that were created here; a run of an optimization counts as a run.',
  },
  runcast_jobs_retried_total: {
    type: 'counter',
    of: 'hub',
    labels: ['kind'],
    help: 'New rounds of jobs that had failed or were cancelled.',
  },
  runcast_finals_total: {
    type: 'counter',
    of: 'both',
    labels: ['kind', 'status', 'source', 'code'],
    help: 'Ends of jobs that were written here: who noticed (`worker`, `queue`, `sweeper`, `cancel`), and why it failed (empty where it did not).',
  },
  runcast_forced_ends_total: {
    type: 'counter',
    of: 'both',
    labels: ['kind'],
    help: 'Cancelled jobs that did not obey and were ended by force.',
  },
  runcast_cancels_total: {
    type: 'counter',
    of: 'both',
    labels: ['kind'],
    help: 'Cancels that were taken; those of the runs of an optimization that ends too.',
  },
  runcast_cancel_seconds: {
    type: 'histogram',
    of: 'both',
    labels: ['kind'],
    buckets: CANCEL_S,
    help: 'From the cancel of a job to its end, by the clock of Redis; less than 0 counts as 0.',
  },
  runcast_attempts_started_total: {
    type: 'counter',
    of: 'both',
    labels: ['queue'],
    help: 'Attempts at jobs that began here, over HTTP too.',
  },
  runcast_attempts_ended_total: {
    type: 'counter',
    of: 'both',
    labels: ['queue', 'how'],
    help: 'How attempts ended, once the queue has taken it: `done`, `ended` (failed or cancelled), `retry`, `handed_back`, `refused` (not to be run, or another worker has it). One whose lock was lost is not among them.',
  },
  runcast_fenced_writes_total: {
    type: 'counter',
    of: 'both',
    labels: ['reason'],
    help: 'Jobs, or posts of a worker over HTTP, whose writes were refused: another worker has the job, or it is over.',
  },
  runcast_reports_total: {
    type: 'counter',
    of: 'worker',
    labels: ['class'],
    help: 'Reports taken from processors: `tick` is a transient one, `durable` a persisted one.',
  },
  runcast_ticks_coalesced_total: {
    type: 'counter',
    of: 'worker',
    labels: [],
    help: 'Transient events that were not written, since a newer one of the same key came first.',
  },
  runcast_publish_retries_total: {
    type: 'counter',
    of: 'worker',
    labels: [],
    help: 'Writes that were sent again, since Redis did not answer.',
  },
  runcast_reports_buffered: { type: 'gauge', of: 'worker', labels: [], help: 'Reports that wait to be written.' },
  runcast_running_jobs: {
    type: 'gauge',
    of: 'worker',
    labels: ['queue'],
    help: 'Jobs that this worker computes now; of `optimization` their steps.',
  },
  runcast_job_slots: {
    type: 'gauge',
    of: 'worker',
    labels: ['queue'],
    help: 'Jobs, or steps, that this worker computes at a time at most.',
  },
  runcast_steps_total: { type: 'counter', of: 'worker', labels: [], help: 'Steps of optimizations that were done.' },
  runcast_ready: { type: 'gauge', of: 'both', labels: [], help: '1 while `/readyz` answers 200, else 0.' },
  runcast_redis_ready: { type: 'gauge', of: 'both', labels: [], help: '1 while Redis answers this process, else 0.' },
  runcast_redis_writable: { type: 'gauge', of: 'both', labels: [], help: '1 while Redis takes the writes of this process, else 0.' },
  runcast_redis_reconnects_total: {
    type: 'counter',
    of: 'both',
    labels: [],
    help: 'Connections to Redis that were lost and made again, without those on which BullMQ waits for jobs and news.',
  },
  runcast_clock_ahead_seconds: {
    type: 'gauge',
    of: 'both',
    labels: [],
    help: 'How far the clock of this process is ahead of that of Redis; less than 0 where it is behind. Over 5 s either way the process does not sweep.',
  },
} as const satisfies Readonly<Record<string, MetricRow>>

export type MetricName = keyof typeof METRICS
