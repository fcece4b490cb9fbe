import type { Tally } from '../core/tally.js'
import type { ArtifactTally } from '../jobs/artifacts/artifact-tally.js'
import type { AttemptTally } from '../jobs/attempt-tally.js'
import type { JobTally } from '../jobs/job-tally.js'
import type { Sweeper } from '../jobs/sweeper/sweeper.js'
import type { StoreReason } from '../protocol/codes.js'
import type { TelemetryTally } from '../storage/telemetry-tally.js'
import type { Exposition, Samples } from './exposition.js'
import { checkQuery, type Query } from './scrape.js'

/** Checks Redis: resolves to the reason why it accepts no writes, or null. */
interface StoreLook {
  look(): Promise<StoreReason | null>
  readonly aheadMs: number
}

/** What hubs and workers have in common. */
export interface JobSources {
  readonly tally: JobTally
  readonly attempts: AttemptTally
  readonly reconnects: Tally<[]>
  readonly broker: { readonly tally: TelemetryTally }
  readonly artifacts: { readonly tally: ArtifactTally }
  readonly sweeper: Pick<Sweeper, 'counts'>
  readonly health: StoreLook
}

export function jobSamples({ tally, attempts, reconnects, sweeper, health, broker, artifacts }: JobSources): Samples {
  const { lines, skippedLines, points, rejectedSeries } = broker.tally
  return {
    runcast_jobs: (sweeper.counts.counts ?? []).map(([kind, status, count]) => [[kind, status], count]),
    runcast_jobs_submitted_total: tally.submitted.rows,
    runcast_finals_total: tally.finals.rows,
    runcast_forced_ends_total: tally.forced.rows,
    runcast_cancels_total: tally.cancels.rows,
    runcast_attempts_started_total: attempts.started.rows,
    runcast_attempts_ended_total: attempts.ended.rows,
    runcast_fenced_writes_total: attempts.fenced.rows,
    runcast_log_lines_total: [
      [['written'], lines],
      [['skipped'], skippedLines],
    ],
    runcast_series_points_total: [[[], points]],
    runcast_series_refused_total: [[[], rejectedSeries]],
    runcast_artifacts_total: artifacts.tally.stored.rows,
    runcast_artifact_bytes_total: [[[], artifacts.tally.bytes]],
    runcast_artifact_downloads_total: artifacts.tally.downloads.rows,
    runcast_redis_reconnects_total: reconnects.rows,
    runcast_clock_ahead_seconds: [[[], health.aheadMs / 1000]],
  }
}

/** Connects the measurements to the histograms. */
export function measureJobs(exposition: Exposition, { tally }: JobSources): void {
  tally.cancelling.listen((seconds, labels) => exposition.observe('runcast_cancel_seconds', seconds, labels))
}

/** The state of Redis for this process. `isReady`: an additional check beside reachability. */
export function storeQueries(health: StoreLook, isReady: () => Promise<boolean> = async () => true): Query[] {
  const looked = health.look()
  return [
    checkQuery(
      'runcast_redis_ready',
      Promise.all([looked, isReady()]).then(([reason, ready]) => ready && reason !== 'store_unreachable'),
    ),
    checkQuery(
      'runcast_redis_writable',
      looked.then((reason) => reason === null),
    ),
  ]
}
