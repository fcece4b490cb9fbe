/** Short, so that much happens in little time. */
export const SETTINGS = {
  LOG_LEVEL: 'info',
  WORKER_LOCK_MS: '1000',
  WORKER_CONCURRENCY: '3',
  SWEEP_INTERVAL_MS: '500',
  CANCEL_GRACE_MS: '1000',
  QUIET_MS: '1000',
  LINGER_MS: '500',
  DRAIN_MS: '1000',
  MAX_SOCKETS_PER_USER: '10000',
  MAX_UPGRADES_PER_SECOND: '100000',
}
