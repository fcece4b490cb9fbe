/** Series by their text, and their values minute by minute in promtool's notation. */
export type Series = Readonly<Record<string, string>>

/** When an alert fires, and when it does not although something like it happens. */
export interface AlertCase {
  readonly fires: Series
  /** Minutes after the beginning. */
  readonly at: number
  /** Labels of the alert, beside its severity; of each, where there are more. */
  readonly labels?: Readonly<Record<string, string>> | readonly Readonly<Record<string, string>>[]
  readonly quiet: Series
}

const HUB = { instance: 'hub-1', job: 'runcast' }
const ON_HUB = 'instance="hub-1",job="runcast"'
const READY = { [`runcast_ready{${ON_HUB}}`]: '1x120' }

/** The rates of these are by the minute: 120 more a minute are 2 a second. */
export const CASES: Readonly<Record<string, AlertCase>> = {
  RuncastNoHub: { fires: { 'up{job="runcast"}': '0x30' }, at: 5, quiet: { 'runcast_connections{transport="sse"}': '0x30' } },
  RuncastTargetDown: {
    fires: {
      // Of a job whose name says nothing, one that has been dead for a while beside one that lives; all of another one; and one that has never come up.
      'up{instance="b",job="x"}': '1 1 0x30',
      'up{instance="a",job="x"}': '1x30',
      'runcast_ready{instance="a",job="x"}': '1x30',
      'up{instance="c",job="y"}': '1 1 0x30',
      'runcast_ready{instance="c",job="y"}': '1 1 stale',
      'up{instance="d",job="prod/runcast"}': '0x30',
    },
    at: 10,
    labels: [
      { instance: 'b', job: 'x' },
      { instance: 'c', job: 'y' },
      { instance: 'd', job: 'prod/runcast' },
    ],
    // One that was rolled; and another program.
    quiet: {
      'up{instance="a",job="runcast"}': '1 1 1 1 1 1 0 0 0 1x30',
      'runcast_ready{instance="a",job="runcast"}': '1x30',
      'up{instance="b",job="shop"}': '0x30',
    },
  },
  RuncastNotReady: {
    fires: { [`runcast_ready{${ON_HUB}}`]: '1 0x30' },
    at: 5,
    labels: HUB,
    quiet: { [`runcast_ready{${ON_HUB}}`]: '1 0 1x30' },
  },
  RuncastRedisUnreachable: {
    fires: { [`runcast_redis_ready{${ON_HUB}}`]: '1 0x30' },
    at: 5,
    labels: HUB,
    quiet: { [`runcast_redis_ready{${ON_HUB}}`]: '1 1 1 1 1 0 1x30' },
  },
  RuncastClockWrong: {
    fires: { [`runcast_clock_ahead_seconds{${ON_HUB}}`]: '0 -7200x30' },
    at: 10,
    labels: HUB,
    quiet: { [`runcast_clock_ahead_seconds{${ON_HUB}}`]: '0 60 60 4x30' },
  },
  RuncastRedisRefusesWrites: {
    fires: { [`runcast_redis_writable{${ON_HUB}}`]: '1 0x30', [`runcast_redis_ready{${ON_HUB}}`]: '1x30' },
    at: 5,
    labels: HUB,
    quiet: { [`runcast_redis_writable{${ON_HUB}}`]: '1 0x30', [`runcast_redis_ready{${ON_HUB}}`]: '1 0x30' },
  },
  RuncastNoWorker: {
    fires: { 'runcast_queue_workers{queue="run"}': '0x30', 'runcast_queue_head_wait_seconds{queue="run"}': '0+60x30' },
    at: 10,
    labels: { queue: 'run' },
    quiet: {
      'runcast_queue_workers{queue="run"}': '1x30',
      'runcast_queue_head_wait_seconds{queue="run"}': '0+60x30',
      'runcast_queue_workers{queue="benchmark"}': '0x30',
      'runcast_queue_head_wait_seconds{queue="benchmark"}': '0x30',
    },
  },
  RuncastQueueWaits: {
    fires: { 'runcast_queue_head_wait_seconds{queue="run"}': '0+60x60' },
    at: 20,
    labels: { queue: 'run' },
    quiet: { 'runcast_queue_head_wait_seconds{queue="run"}': '300x60' },
  },
  RuncastQueueGrows: {
    fires: { 'runcast_queue_jobs{queue="run",state="waiting",instance="hub-1"}': '0+10x120' },
    at: 90,
    labels: { queue: 'run' },
    quiet: {
      'runcast_queue_jobs{queue="run",state="waiting"}': '5000-10x120',
      'runcast_queue_jobs{queue="run",state="active"}': '0+10x120',
      'runcast_queue_jobs{queue="run",state="held"}': '0+10x120',
    },
  },
  RuncastWorkersLost: {
    fires: { 'runcast_finals_total{kind="run",status="failed",source="sweeper",code="worker_lost"}': '0x10 1x30' },
    at: 15,
    labels: { kind: 'run' },
    quiet: {
      'runcast_finals_total{kind="run",status="failed",source="sweeper",code="worker_lost"}': '7x40',
      'runcast_finals_total{kind="run",status="failed",source="worker",code="solver_error"}': '0+1x40',
    },
  },
  RuncastEndsNotToldByWorkers: {
    fires: { 'runcast_finals_total{source="sweeper"}': '0+1x60', 'runcast_finals_total{source="worker"}': '0+5x60' },
    at: 40,
    quiet: { 'runcast_finals_total{source="sweeper"}': '0+1x60', 'runcast_finals_total{source="worker"}': '0+100x60' },
  },
  RuncastWritesFenced: {
    fires: { 'runcast_fenced_writes_total{reason="stale_writer"}': '0+1x60' },
    at: 20,
    quiet: { 'runcast_fenced_writes_total{reason="stale_writer"}': '100x60' },
  },
  RuncastEntriesLost: {
    fires: { 'runcast_heals_total{instance="hub-1",result="entries"}': '0+30x60' },
    at: 30,
    labels: { instance: 'hub-1' },
    quiet: { 'runcast_heals_total{instance="hub-1",result="nothing"}': '0+3000x60' },
  },
  RuncastClientsResync: {
    fires: { 'runcast_resyncs_total{instance="hub-1"}': '0+120x60' },
    at: 30,
    labels: { instance: 'hub-1' },
    quiet: { 'runcast_resyncs_total{instance="hub-1"}': '0+30x60' },
  },
  RuncastOutboxFull: {
    fires: { 'runcast_outbox_largest_bytes{instance="hub-1"}': '900000x60', 'runcast_outbox_limit_bytes{instance="hub-1"}': '1000000x60' },
    at: 30,
    labels: { instance: 'hub-1' },
    quiet: { 'runcast_outbox_largest_bytes{instance="hub-1"}': '700000x60', 'runcast_outbox_limit_bytes{instance="hub-1"}': '1000000x60' },
  },
  RuncastDeliverySlow: {
    fires: {
      'runcast_publish_to_socket_seconds_bucket{le="1"}': '0+90x60',
      'runcast_publish_to_socket_seconds_bucket{le="2.5"}': '0+100x60',
      'runcast_publish_to_socket_seconds_bucket{le="+Inf"}': '0+100x60',
    },
    at: 30,
    quiet: {
      'runcast_publish_to_socket_seconds_bucket{le="1"}': '0+100x60',
      'runcast_publish_to_socket_seconds_bucket{le="+Inf"}': '0+100x60',
    },
  },
  RuncastEventLoopLags: {
    fires: { [`nodejs_eventloop_lag_p99_seconds{${ON_HUB}}`]: '1x60', ...READY },
    at: 30,
    labels: HUB,
    // Another program.
    quiet: { 'nodejs_eventloop_lag_p99_seconds{instance="shop-1",job="shop"}': '1x60', ...READY },
  },
  RuncastClientsCutOff: {
    fires: { 'runcast_closes_total{instance="hub-1",code="4002",reason="idle"}': '0+120x60' },
    at: 30,
    labels: { instance: 'hub-1' },
    quiet: { 'runcast_closes_total{instance="hub-1",code="1012",reason="restart"}': '0+120x60' },
  },
  RuncastClientsTurnedAway: {
    fires: { 'runcast_closes_total{instance="hub-1",code="1013",reason="overloaded"}': '0+60x60' },
    at: 30,
    labels: { instance: 'hub-1' },
    quiet: { 'runcast_closes_total{instance="hub-1",code="1000",reason="done"}': '0+60x60' },
  },
  RuncastJobsNotFound: {
    fires: { 'runcast_closes_total{instance="hub-1",code="4004",reason="not_found"}': '0+120x60' },
    at: 30,
    quiet: { 'runcast_closes_total{instance="hub-1",code="4004",reason="not_found"}': '0+6x60' },
  },
  RuncastUpgradesRefused: {
    fires: { 'runcast_upgrades_refused_total{reason="rate"}': '0+120x60' },
    at: 30,
    labels: { reason: 'rate' },
    quiet: { 'runcast_upgrades_refused_total{reason="draining"}': '0+120x60' },
  },
  RuncastServerErrors: {
    fires: {
      'runcast_http_requests_total{route="/a",status="500"}': '0+10x60',
      'runcast_http_requests_total{route="/a",status="200"}': '0+90x60',
    },
    at: 30,
    quiet: {
      'runcast_http_requests_total{route="/readyz",status="503"}': '0+100x60',
      'runcast_http_requests_total{route="/a",status="404"}': '0+10x60',
    },
  },
  RuncastCancelsSlow: {
    fires: {
      'runcast_cancel_seconds_bucket{kind="run",le="15"}': '0+1x60',
      'runcast_cancel_seconds_bucket{kind="run",le="30"}': '0+10x60',
      'runcast_cancel_seconds_bucket{kind="run",le="+Inf"}': '0+10x60',
    },
    at: 50,
    labels: { kind: 'run' },
    quiet: {
      'runcast_cancel_seconds_bucket{kind="run",le="15"}': '0+10x60',
      'runcast_cancel_seconds_bucket{kind="run",le="+Inf"}': '0+10x60',
    },
  },
  RuncastForcedEnds: {
    fires: { 'runcast_forced_ends_total{kind="run"}': '0+1x60' },
    at: 50,
    labels: { kind: 'run' },
    quiet: { 'runcast_forced_ends_total{kind="run"}': '0x10 1x50' },
  },
  RuncastRestarts: {
    fires: { [`process_start_time_seconds{${ON_HUB}}`]: '1 1 2 2 3 3 4x60', ...READY },
    at: 15,
    labels: HUB,
    // A process that was rolled once.
    quiet: { [`process_start_time_seconds{${ON_HUB}}`]: '1 1 2x60', ...READY },
  },
}
