/** Who serves a metric: hubs, workers, or both. */
export type ServedBy = 'hub' | 'worker' | 'both'

export interface MetricRow {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly of: ServedBy
  readonly labels: readonly string[]
  /** Description for `# HELP` and the table in docs/reference/metrics.md. */
  readonly help: string
  /** Upper bounds of a histogram, in its unit. */
  readonly buckets?: readonly number[]
}

/** From unnoticeable delays to very noticeable ones. */
const DELIVERY_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const REQUEST_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const CANCEL_S = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60]

/**
 * THE table of metrics, in addition to the default metrics of prom-client. All its metrics are served, and the table in
 * docs/reference/metrics.md is generated from it.
 */
export const METRICS = {
  runcast_connections: { type: 'gauge', of: 'hub', labels: ['transport'], help: 'Open connections of clients, `websocket` or `sse`.' },
  runcast_connections_opened_total: { type: 'counter', of: 'hub', labels: ['transport'], help: 'Connections of clients that were opened.' },
  runcast_sessions: { type: 'gauge', of: 'hub', labels: [], help: 'Open connections whose client is authenticated.' },
  runcast_subscriptions: { type: 'gauge', of: 'hub', labels: [], help: 'Jobs followed, summed over all clients.' },
  runcast_topics: { type: 'gauge', of: 'hub', labels: [], help: 'Different jobs that this hub follows in Redis for its clients.' },
  runcast_entries_received_total: { type: 'counter', of: 'hub', labels: [], help: 'Entries of jobs that came from Redis.' },
  runcast_entries_delivered_total: { type: 'counter', of: 'hub', labels: [], help: 'Entries handed to sockets, each client counted.' },
  runcast_entries_conflated_total: {
    type: 'counter',
    of: 'hub',
    labels: [],
    help: 'Transient entries skipped for a slow client, because a newer one of the same key arrived.',
  },
  runcast_resyncs_total: {
    type: 'counter',
    of: 'hub',
    labels: [],
    help: 'Clients that were too slow: their backlog was dropped and replaced by a new snapshot.',
  },
  runcast_heals_total: {
    type: 'counter',
    of: 'hub',
    labels: ['result'],
    help: 'Times a job was read again, by result: `nothing` was missing, missed `entries` were delivered, the whole `state` was delivered, the job is `gone`, Redis is `unreachable`.',
  },
  runcast_publish_to_socket_seconds: {
    type: 'histogram',
    of: 'hub',
    labels: [],
    buckets: DELIVERY_S,
    help: 'Time from the timestamp of a persisted message to its delivery to the first socket of this hub, once per message, by the clock of Redis; negative values count as 0.',
  },
  runcast_outbox_bytes: { type: 'gauge', of: 'hub', labels: [], help: 'Bytes that wait in this process for all clients.' },
  runcast_outbox_largest_bytes: { type: 'gauge', of: 'hub', labels: [], help: 'Bytes that wait for the slowest client.' },
  runcast_outbox_limit_bytes: {
    type: 'gauge',
    of: 'hub',
    labels: [],
    help: 'Maximum bytes that may wait for one client: `MAX_OUTBOX_BYTES`.',
  },
  runcast_closes_total: {
    type: 'counter',
    of: 'hub',
    labels: ['code', 'reason'],
    help: 'Sessions that this hub closed, by close code and its name; `stalled` (1006): cut, because the client stopped reading. Excludes pages that may not connect (`runcast_refusals_total`, `forbidden`) and connections that the WebSocket library closes itself (1002, 1007 and 1009: invalid or too large frames).',
  },
  runcast_refusals_total: {
    type: 'counter',
    of: 'hub',
    labels: ['via', 'code'],
    help: 'Requests that were rejected, by name of the code and transport: `socket` or `http`.',
  },
  runcast_upgrades_refused_total: {
    type: 'counter',
    of: 'hub',
    labels: ['reason'],
    help: 'Connections that were not accepted: the hub was `draining` or `full`, too many clients had not sent a token yet (`pending`), or the `rate` of an address was too high.',
  },
  runcast_http_requests_total: {
    type: 'counter',
    of: 'hub',
    labels: ['method', 'route', 'status'],
    help: 'Completed HTTP requests, by pattern of the route (`unmatched` if there is none); `aborted`: the client left before the answer; a stream counts when it ends. Accepted WebSockets count only in `runcast_connections_opened_total`.',
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
    help: 'Jobs that wait for a free worker (`waiting`), that wait because their user has reached the limit of admitted jobs (`held`), and that were admitted and have not ended (`active`). Every hub reports the same values for the whole Redis, so use `max`.',
  },
  runcast_queue_head_wait_seconds: {
    type: 'gauge',
    of: 'hub',
    labels: ['queue'],
    help: 'How long the next job of a queue has been waiting for a worker; 0 if none waits. Every hub reports the same value.',
  },
  runcast_queue_workers: {
    type: 'gauge',
    of: 'hub',
    labels: ['queue'],
    help: 'Workers connected to a queue, except those over HTTP. Every hub reports the same value.',
  },
  runcast_jobs: {
    type: 'gauge',
    of: 'both',
    labels: ['kind', 'status'],
    help: 'Jobs that were admitted and have not ended, at the last check of the sweeper; only the process that sweeps reports it. A child job counts by its own kind.',
  },
  runcast_jobs_submitted_total: {
    type: 'counter',
    of: 'both',
    labels: ['kind'],
    help: 'Jobs that were created here; a child job counts by its own kind.',
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
    help: 'Ends of jobs written by this process, by source (`worker`, `queue`, `sweeper`, `cancel`) and error code (empty if the job did not fail).',
  },
  runcast_forced_ends_total: {
    type: 'counter',
    of: 'both',
    labels: ['kind'],
    help: 'Cancelled jobs that did not stop and were ended by force.',
  },
  runcast_cancels_total: {
    type: 'counter',
    of: 'both',
    labels: ['kind'],
    help: 'Accepted cancels, including those of child jobs whose parent ends.',
  },
  runcast_cancel_seconds: {
    type: 'histogram',
    of: 'both',
    labels: ['kind'],
    buckets: CANCEL_S,
    help: 'Time from the cancel of a job to its end, by the clock of Redis; negative values count as 0.',
  },
  runcast_attempts_started_total: {
    type: 'counter',
    of: 'both',
    labels: ['queue'],
    help: 'Attempts at jobs that began here, including those over HTTP.',
  },
  runcast_attempts_ended_total: {
    type: 'counter',
    of: 'both',
    labels: ['queue', 'how'],
    help: 'How attempts ended, as committed by the queue: `done`, `ended` (failed or cancelled), `retry`, `handed_back`, `refused` (must not be run, or another worker has the job). Attempts whose lock was lost are not included.',
  },
  runcast_fenced_writes_total: {
    type: 'counter',
    of: 'both',
    labels: ['reason'],
    help: 'Jobs, or posts of a worker over HTTP, whose writes were rejected: another worker has the job, or it has ended.',
  },
  runcast_reports_total: {
    type: 'counter',
    of: 'worker',
    labels: ['class'],
    help: 'Reports accepted from processors: `tick` is a transient one, `durable` a persisted one.',
  },
  runcast_ticks_coalesced_total: {
    type: 'counter',
    of: 'worker',
    labels: [],
    help: 'Transient events that were not written, because a newer one of the same key replaced them.',
  },
  runcast_publish_retries_total: {
    type: 'counter',
    of: 'worker',
    labels: [],
    help: 'Writes that were sent again, because Redis did not answer.',
  },
  runcast_reports_buffered: { type: 'gauge', of: 'worker', labels: [], help: 'Reports that wait to be written.' },
  runcast_running_jobs: {
    type: 'gauge',
    of: 'worker',
    labels: ['queue'],
    help: 'Jobs that this worker computes now; of a kind in steps, the steps.',
  },
  runcast_job_slots: {
    type: 'gauge',
    of: 'worker',
    labels: ['queue'],
    help: 'Maximum number of jobs, or steps, that this worker computes at a time.',
  },
  runcast_log_lines_total: {
    type: 'counter',
    of: 'both',
    labels: ['result'],
    help: 'Log lines of jobs: `written` to Redis, or `skipped`, because MAX_LOG_LINES or MAX_LOG_BYTES would drop them at once.',
  },
  runcast_series_points_total: { type: 'counter', of: 'both', labels: [], help: 'Points of metrics that were added to curves in Redis.' },
  runcast_series_refused_total: {
    type: 'counter',
    of: 'both',
    labels: [],
    help: 'Writes that were rejected, because more metrics would have a curve than MAX_SERIES allows.',
  },
  runcast_artifacts_total: {
    type: 'counter',
    of: 'both',
    labels: ['result'],
    help: 'Uploads of artifacts and links: `stored`, `broken` (the content broke off), or the code of the error, such as `too_big`, `quota` and `no_store`.',
  },
  runcast_artifact_bytes_total: { type: 'counter', of: 'both', labels: [], help: 'Bytes of artifacts that were stored.' },
  runcast_artifact_downloads_total: {
    type: 'counter',
    of: 'both',
    labels: ['by'],
    help: 'Downloads of artifacts that began: `content` is sent by this process, `link` is answered with a link to the bucket.',
  },
  runcast_steps_total: { type: 'counter', of: 'worker', labels: [], help: 'Completed steps of jobs that run in steps.' },
  runcast_ready: { type: 'gauge', of: 'both', labels: [], help: '1 while `/readyz` answers 200, else 0.' },
  runcast_redis_ready: { type: 'gauge', of: 'both', labels: [], help: '1 while Redis answers this process, else 0.' },
  runcast_redis_writable: { type: 'gauge', of: 'both', labels: [], help: '1 while Redis accepts the writes of this process, else 0.' },
  runcast_redis_reconnects_total: {
    type: 'counter',
    of: 'both',
    labels: [],
    help: 'Reconnects to Redis, except those of connections on which BullMQ waits for jobs and events.',
  },
  runcast_clock_ahead_seconds: {
    type: 'gauge',
    of: 'both',
    labels: [],
    help: 'How far the clock of this process is ahead of that of Redis; negative if it is behind. With a difference over 5 s the process does not sweep.',
  },
} as const satisfies Readonly<Record<string, MetricRow>>

export type MetricName = keyof typeof METRICS
