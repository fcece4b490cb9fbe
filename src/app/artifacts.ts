import type { Config } from '../config/config.js'
import { ArtifactService } from '../jobs/artifacts/artifact-service.js'
import type { ArtifactLimits } from '../storage/artifact-records.js'
import type { ArtifactStore } from '../storage/artifact-store.js'
import { FolderStore } from '../storage/artifacts/folder-store.js'
import { S3Store } from '../storage/artifacts/s3-store.js'
import { RedisArtifacts } from '../storage/redis/artifacts.js'
import type { CommandConnection } from '../storage/redis/connection.js'
import { databaseOf, RedisKeys } from '../storage/redis/keys.js'

/** A job that has not ended is checked this often: it may end, and expire, long before it was expected to. */
const MAX_CHECK_MS = 600_000

/** The artifacts of a process. It opens the store on first use. */
export function buildArtifacts(config: Config, commands: CommandConnection): ArtifactService {
  const { ACTIVE_TTL_MS: activeTtlMs, FINAL_TTL_MS: finalTtlMs } = config
  const limits: ArtifactLimits = {
    maxBytes: config.MAX_ARTIFACT_BYTES,
    maxPerJob: config.MAX_ARTIFACTS,
    maxBytesPerJob: config.MAX_ARTIFACT_BYTES_PER_JOB,
    maxPerUser: config.MAX_ARTIFACTS_PER_USER,
    maxBytesPerUser: config.MAX_ARTIFACT_BYTES_PER_USER,
  }
  const keys = new RedisKeys(config.REDIS_PREFIX, config.REDIS_URL)
  return new ArtifactService({
    store: storeOf(config),
    records: new RedisArtifacts(commands, keys, { limits, keepMs: activeTtlMs + finalTtlMs }),
    limits,
    checkMs: Math.min(MAX_CHECK_MS, finalTtlMs),
    ofChildren: config.EVALUATION_ARTIFACTS === 'yes',
  })
}

function storeOf(config: Config): ArtifactStore {
  const { ARTIFACTS_DIR: folder, ARTIFACTS_BUCKET: bucket, REDIS_PREFIX: prefix } = config
  const place = { prefix, database: databaseOf(config.REDIS_URL) }
  if (bucket === '') return new FolderStore({ folder, ...place })
  const { ARTIFACTS_ENDPOINT: endpoint, ARTIFACTS_REGION: region } = config
  return new S3Store({ bucket, endpoint, region, hasLinks: config.ARTIFACTS_LINKS === 'yes', ...place })
}
