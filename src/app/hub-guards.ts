import type { Config } from '../config/config.js'
import { systemClock } from '../core/clock.js'
import { DEFAULT_PENDING_LIMITS, PendingSockets } from '../hub/guards/pending-sockets.js'
import { DEFAULT_UPGRADE_LIMITS, UpgradeLimit } from '../hub/guards/upgrade-limit.js'
import type { Admission } from '../storage/admission.js'
import { DEFAULT_ADMISSION_OPTIONS, RedisAdmission } from '../storage/redis/admission.js'
import { connectCommands, connectSubscriptions } from '../storage/redis/connection.js'
import { RedisKeys } from '../storage/redis/keys.js'
import { RedisRevocations } from '../storage/redis/revocations.js'
import type { Revocations } from '../storage/revocations.js'
import { faultLogger, type Log, type Parts } from './parts.js'

/** Admission, revocation and upgrade limits of a hub. Workers have none. */
export interface HubGuards {
  readonly admission: Admission
  readonly revocations: Revocations
  readonly upgrades: UpgradeLimit
  /** Frees the slots of this node and closes the connections. */
  close(): Promise<void>
}

export function buildHubGuards(config: Config, log: Log, { health, reconnects }: Pick<Parts, 'health' | 'reconnects'>): HubGuards {
  const onFault = faultLogger(log, health, 'redis error')
  const connection = { url: config.REDIS_URL, onFault, onReconnect: () => reconnects.add(), store: health }
  const commands = connectCommands(connection)
  const keys = new RedisKeys(config.REDIS_PREFIX, config.REDIS_URL)
  const admission = new RedisAdmission(commands, keys, { ...DEFAULT_ADMISSION_OPTIONS, maxPerUser: config.MAX_SOCKETS_PER_USER, onFault })
  const revocations = new RedisRevocations({ commands, subscriptions: connectSubscriptions(connection), keys, onFault })
  const { MAX_SOCKETS: maxSockets, MAX_UPGRADES_PER_SECOND: maxPerSecond } = config
  const pending = new PendingSockets({
    ...DEFAULT_PENDING_LIMITS,
    maxSockets: config.MAX_PENDING_SOCKETS,
    maxPerAddress: config.MAX_PENDING_SOCKETS_PER_ADDRESS,
    maxBytes: config.MAX_PENDING_BYTES,
  })
  const upgrades = new UpgradeLimit(systemClock, { ...DEFAULT_UPGRADE_LIMITS, maxSockets, maxPerSecond }, pending)
  const close = async () => {
    await admission.leaveAll()
    admission.close()
    revocations.close()
    commands.disconnect()
  }
  return { admission, revocations, upgrades, close }
}
