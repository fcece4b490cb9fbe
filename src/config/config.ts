import { Kinds, type NumberOrSetting } from '../core/kind.js'
import { integer, isOrigin, list, namesOf, oneOf, type Setting, text } from '../core/setting.js'
import { BUILT_IN_KINDS, BUILT_IN_SETTINGS } from '../kinds/index.js'
import { readSecretFiles } from './secret-files.js'

const HOUR_MS = 3600_000

/** THE table of settings, including those of the built-in kinds. docs/reference/settings.md is generated from it. */
export const SETTINGS = {
  PORT: integer('Port of the hub; `npm start` and the demo use the next one too.', 8501, 1, 65_535),
  METRICS_PORT: integer(
    'Port of a process for `/metrics`, `/livez` and `/readyz`. 0: a hub serves `/metrics` on its API port, and a worker opens no port.',
    0,
    0,
    65_535,
  ),
  HOST: text('Address to listen on.', '127.0.0.1', /^\S+$/, 'an address or host name'),
  PUBLIC_URL: text(
    "Where browsers reach the hubs, as `https://app.example/runcast`; the proxy removes the path. Without it links begin at `/`, and the hub's own pages are those of the host in the request.",
    '',
    /^https?:\/\/[^\s?#]+$/,
    'an https:// or http:// URL without query',
  ),
  DOCS: oneOf('Whether `/docs` is served.', 'on', ['on', 'off']),
  REDIS_URL: text(
    'Redis to use, `redis://` or `rediss://`. Without it `npm start` and the demo start their own.',
    '',
    /^rediss?:\/\/[^\s/?]+(?:\/\d*)?(?:\?\S*)?$/,
    'a redis:// or rediss:// URL, such as redis://127.0.0.1:6379/0',
  ),
  REDIS_URL_FILE: text('Path of a file that contains the value of REDIS_URL.', '', /^.+$/, 'a path'),
  REDIS_PREFIX: text('Prefix of every key.', 'runcast', /^[A-Za-z0-9_.:-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ . : -'),
  DATA_DIR: text('Where the embedded Redis of `npm start` keeps its data.', '.runcast/data', /^.+$/, 'a path'),
  JWT_SECRET: text(
    'Secret of the tokens (HS256), at least 32 characters. With REDIS_URL one of the three `JWT_` keys is required; otherwise the secret is random.',
    '',
    /^.{32,}$/,
    'at least 32 characters',
  ),
  JWT_SECRET_FILE: text('Path of a file that contains the value of JWT_SECRET.', '', /^.+$/, 'a path'),
  JWT_PUBLIC_KEY: text(
    'Public key of the tokens, as PEM or as the path of a PEM file: RSA (RS256), P-256 (ES256) or Ed25519 (EdDSA).',
    '',
    /./,
    'a PEM or a path',
  ),
  JWT_JWKS_URL: text(
    'URL of the public keys of the tokens (JWK Set): RS256, ES256, EdDSA. The keys may rotate.',
    '',
    /^https?:\/\/\S+$/,
    'an https:// or http:// URL',
  ),
  JWT_ISSUER: text('Required `iss` of a token; empty: any.', '', /^.+$/, 'a text'),
  JWT_AUDIENCE: text(
    'Required `aud` of a token; empty or `any`: any. Required with JWT_JWKS_URL, because an identity provider also signs tokens for other services.',
    '',
    /^.+$/,
    'a text',
  ),
  JWT_ROLE_CLAIM: text(
    'Token claim that holds the role, as a text or a list: its name, or a path such as `realm_access.roles`.',
    'role',
    /^\S+$/,
    'a name or a path',
  ),
  JWT_ADMIN_ROLE: text('Value of JWT_ROLE_CLAIM, or an item of its list, for an admin.', 'admin', /^.+$/, 'a text'),
  JWT_WORKER_ROLE: text('Value of JWT_ROLE_CLAIM, or an item of its list, for a worker over HTTP.', 'worker', /^.+$/, 'a text'),
  JWT_KINDS_CLAIM: text(
    'Token claim of a worker over HTTP that names the kinds of jobs that it may claim, as a text or a list: its name, or a path. Without it, all.',
    'kinds',
    /^\S+$/,
    'a name or a path',
  ),
  AUTH_COOKIE: text(
    'Name of a cookie that may carry the token, for pages of ALLOWED_ORIGINS and of the hub only; empty: none.',
    '',
    /^[A-Za-z0-9_.-]+$/,
    'a name of A-Z a-z 0-9 _ . -',
  ),
  ALLOWED_ORIGINS: list(
    'Origins of other pages that may connect, as `https://app.example`, separated by commas; empty: all, but not with a cookie.',
    isOrigin,
    'origins such as https://app.example',
  ),
  TRUSTED_PROXIES: list(
    'Addresses or networks of proxies whose `X-Forwarded-For` contains the address of the client.',
    (item) => /^[0-9A-Fa-f.:]+(\/\d{1,3})?$/.test(item),
    'addresses or networks such as 10.0.0.0/8',
  ),
  REVOCATION_TTL_MS: integer(
    'How long a revocation without an end is kept: at least the lifetime of a token.',
    90 * 24 * HOUR_MS,
    60_000,
    3650 * 24 * HOUR_MS,
  ),
  LOG_LEVEL: oneOf('Minimum level that is logged, as JSON lines.', 'info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']),
  SOLVERS_FILE: text('JSON file with programs that serve as solvers in addition to the built-in one.', '', /^.+$/, 'a path'),
  KINDS_MODULES: list(
    'Paths of ES modules that define your own kinds of jobs (`defineKind`), separated by commas: the same for hubs and workers.',
    (item) => item !== '',
    'paths',
  ),
  KINDS_FILE: text(
    'JSON file that defines your own kinds of jobs for workers over HTTP: the same for hubs and workers.',
    '',
    /^.+$/,
    'a path',
  ),
  WORKER_KINDS: namesOf(
    'Kinds of jobs that a worker process computes. For a hub: the kinds whose workers `READY_NEEDS_WORKER` requires.',
    BUILT_IN_KINDS.map(({ name }) => name),
  ),
  ...BUILT_IN_SETTINGS,
  WORKER_LOCK_MS: integer('A worker without a sign of life for this time loses its jobs to another worker.', 10_000, 1000, 600_000),
  CANCEL_GRACE_MS: integer('How long a running job may take to stop after a cancel before it is ended by force.', 10_000, 100, 600_000),
  MAX_ACTIVE_JOBS_PER_USER: integer('Maximum jobs of one user that are handed to workers at a time; the others wait.', 10, 1, 1000),
  MAX_JOBS_PER_HOUR: integer('Maximum jobs that one user may submit or retry within any hour.', 1000, 1, 1_000_000),
  MAX_WAITING_JOBS_PER_USER: integer('Maximum waiting jobs of one user.', 5000, 1, 9000),
  MAX_WAITING_JOBS: integer('Maximum waiting jobs of all users.', 100_000, 1, 10_000_000),
  MAX_BYTES_PER_USER: integer(
    'Maximum memory in Redis of the jobs of one user, until they expire. At the limit submits are rejected and jobs in steps wait.',
    67_108_864,
    65_536,
    1_099_511_627_776,
  ),
  ARTIFACTS_DIR: text(
    'Folder of the artifacts of jobs: one that all hubs and workers share. It is created by the first upload.',
    '.runcast/artifacts',
    /^.+$/,
    'a path',
  ),
  ARTIFACTS_BUCKET: text(
    'Bucket of S3, or of a compatible service, for artifacts, instead of ARTIFACTS_DIR. It needs the packages `@aws-sdk/client-s3`, `@aws-sdk/lib-storage` and `@aws-sdk/s3-request-presigner`, and credentials that they find, such as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.',
    '',
    /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
    'the name of a bucket',
  ),
  ARTIFACTS_ENDPOINT: text(
    'URL of the S3-compatible service; empty: AWS.',
    '',
    /^https?:\/\/[^\s?#]+$/,
    'an https:// or http:// URL without query',
  ),
  ARTIFACTS_REGION: text('Region of the bucket.', 'us-east-1', /^[a-z0-9-]+$/, 'the name of a region'),
  ARTIFACTS_LINKS: oneOf(
    'Whether a download above 20 MB is redirected to the service by a link that is valid for a minute: clients must reach it at ARTIFACTS_ENDPOINT.',
    'yes',
    ['yes', 'no'],
  ),
  MAX_ARTIFACT_BYTES: integer('Maximum size of an artifact.', 268_435_456, 1, 1_099_511_627_776),
  MAX_ARTIFACTS: integer('Maximum artifacts of a job.', 100, 1, 1000),
  MAX_ARTIFACT_BYTES_PER_JOB: integer('Maximum size of all artifacts of a job.', 1_073_741_824, 1, 1_099_511_627_776),
  MAX_ARTIFACTS_PER_USER: integer('Maximum artifacts of all jobs of one user, until the jobs expire.', 10_000, 1, 10_000_000),
  MAX_ARTIFACT_BYTES_PER_USER: integer(
    'Maximum size of the artifacts of all jobs of one user, until the jobs expire.',
    10_737_418_240,
    1,
    1_125_899_906_842_624,
  ),
  WORKER_FINISH_MS: integer(
    'How long a stopping worker continues its jobs before it returns the unfinished ones to the queue.',
    5000,
    0,
    600_000,
  ),
  READY_NEEDS_WRITE: oneOf('Whether `/readyz` also answers 503 while Redis rejects the writes of every node.', 'no', ['yes', 'no']),
  READY_NEEDS_WORKER: oneOf('Whether `/readyz` requires a connected worker.', 'no', ['yes', 'no']),
  AUTH_TIMEOUT_MS: integer(
    'How long a new socket may take until it is authenticated, and the login of a host server to answer.',
    5000,
    100,
    60_000,
  ),
  PING_INTERVAL_MS: integer('Interval of pings to a client, and of heartbeats in streams.', 15_000, 100, 600_000),
  IDLE_MS: integer('A client without a sign of life for this time is disconnected.', 90_000, 100, 3_600_000),
  EXPIRY_WARNING_MS: integer('How long before a token expires its client is warned.', 30_000, 0, 86_400_000),
  EXPIRY_GRACE_MS: integer('How long a client is still served after its token has expired, so that it can renew it.', 25_000, 0, 600_000),
  MAX_BREACHES_PER_MINUTE: integer('Invalid messages per minute before the connection is closed.', 16, 1, 10_000),
  MAX_MESSAGES_PER_SECOND: integer('Messages per second of one socket; each further one counts as invalid.', 50, 1, 100_000),
  MAX_SUBSCRIPTIONS: integer('Maximum number of jobs that one socket of a user follows.', 1000, 1, 1000),
  MAX_INBOUND_BYTES: integer('Largest WebSocket frame and request body from a client.', 65_536, 1024, 16_777_216),
  MAX_SOCKETS_PER_USER: integer('Maximum sockets of one user, over all hubs.', 10, 1, 100_000),
  MAX_SOCKETS: integer('Maximum sockets of one hub.', 20_000, 1, 10_000_000),
  MAX_UPGRADES_PER_SECOND: integer('Maximum new sockets per second of one address, on one hub.', 200, 1, 1_000_000),
  MAX_REQUESTS_PER_SECOND: integer('Maximum HTTP requests per second of one user, on one hub.', 200, 1, 1_000_000),
  MAX_STRANGER_REQUESTS_PER_SECOND: integer(
    'Maximum HTTP requests per second of one address without a valid token, on one hub.',
    200,
    1,
    1_000_000,
  ),
  MAX_CONNECTIONS: integer(
    'Maximum TCP connections of one hub (sockets, streams and requests); 0: 5000 more than MAX_SOCKETS.',
    0,
    0,
    10_000_000,
  ),
  MAX_PENDING_SOCKETS: integer('Maximum sockets of one hub whose clients have not sent a token.', 2000, 1, 1_000_000),
  MAX_PENDING_SOCKETS_PER_ADDRESS: integer('Maximum sockets of one address whose clients have not sent a token.', 500, 1, 1_000_000),
  MAX_PENDING_BYTES: integer(
    'Maximum bytes from all sockets of one hub without a token; a quarter of it for one address, 16 KiB for one socket.',
    8_388_608,
    65_536,
    1_073_741_824,
  ),
  MAX_OUTBOX_BYTES: integer(
    'Maximum backlog of one client; a slower client gets a fresh snapshot instead.',
    1_048_576,
    65_536,
    1_073_741_824,
  ),
  STALL_MS: integer('A client that reads nothing for this time is disconnected.', 30_000, 1000, 3_600_000),
  QUIET_MS: integer('A job without events for this time is compared with Redis.', 10_000, 100, 600_000),
  LINGER_MS: integer('How long a hub stays subscribed to a job after its last client has left.', 5000, 0, 600_000),
  MAX_EVENT_BYTES: integer('Maximum size of a message of a job.', 262_144, 65_536, 16_777_216),
  MAX_LOG_ENTRIES: integer(
    'Maximum persisted entries in the log of a job. As many older ones are kept that are no metrics.',
    10_000,
    100,
    1_000_000,
  ),
  MAX_LOG_LINES: integer('Maximum log lines of a job; the newest are kept.', 5000, 100, 100_000),
  MAX_SERIES: integer('Maximum metrics of a job that have a curve.', 64, 1, 1024),
  MAX_SERIES_BYTES: integer(
    'Maximum memory of the curves of a job in Redis. Above it the longest curves get fewer points.',
    1_048_576,
    65_536,
    67_108_864,
  ),
  METRIC_INTERVAL_MS: integer(
    'Minimum time between two messages of a metric; points that come faster are sent together. 0: each report is a message.',
    100,
    0,
    60_000,
  ),
  MAX_LOG_BYTES: integer('Maximum bytes of the log lines of a job; the newest are kept.', 1_048_576, 65_536, 16_777_216),
  MAX_MISSED_ENTRIES: integer('Maximum entries that a client can have missed and still resume.', 1000, 10, 100_000),
  MAX_LISTED_JOBS: integer('Maximum jobs of one kind in the lists of a user; the oldest are left out.', 10_000, 100, 1_000_000),
  MAX_KEYS: integer('Maximum number of metrics and other conflation keys of a job.', 1024, 16, 100_000),
  STALE_MS: integer('A running job without a sign of life for this time is stale.', 30_000, 1000, 3_600_000),
  ACTIVE_TTL_MS: integer('TTL of active jobs in Redis; refreshed by the sweeper.', 7 * 24 * HOUR_MS, 60_000, 90 * 24 * HOUR_MS),
  FINAL_TTL_MS: integer('How long Redis keeps a job after its end.', 24 * HOUR_MS, 1000, 90 * 24 * HOUR_MS),
  DRAIN_MS: integer('How long clients may take to move to another hub when a hub stops.', 10_000, 0, 600_000),
  DRAIN_MIN_MS: integer(
    'Minimum time that a stopping hub still answers requests, so that a load balancer sees `/readyz` fail first; at most DRAIN_MS.',
    2000,
    0,
    600_000,
  ),
  SWEEP_INTERVAL_MS: integer('How often the sweeper reconciles jobs whose process died.', 5000, 100, 600_000),
} as const satisfies Record<string, Setting<unknown>>

/** The JWT_AUDIENCE that accepts every audience. */
export const ANY_AUDIENCE = 'any'

const KEYS = ['JWT_SECRET', 'JWT_PUBLIC_KEY', 'JWT_JWKS_URL'] as const

export type SettingName = keyof typeof SETTINGS
export type Config = { readonly [N in SettingName]: ReturnType<(typeof SETTINGS)[N]['read']> }

const BUILT_IN = new Kinds(BUILT_IN_KINDS)

/** The table of settings with those that these kinds declare. */
export function settingsOf(kinds: Kinds): Readonly<Record<string, Setting<unknown>>> {
  const inWorkers = kinds.all.filter(({ external }) => !external).map(({ name }) => name)
  return { ...SETTINGS, ...kinds.settings, WORKER_KINDS: namesOf(SETTINGS.WORKER_KINDS.about, kinds.names, inWorkers) }
}

/**
 * Reads the settings and the files of secrets. Call it from entry points only. An empty value counts as unset.
 * `required`: settings that this process needs. `needsKey`: this process verifies tokens. `kinds`: the kinds that may
 * be named and whose settings are read too. Throws one `ConfigError` that lists every fault. It contains no value,
 * because a value may be a secret.
 */
export function loadConfig(
  given: Readonly<Record<string, string | undefined>>,
  required: readonly SettingName[] = [],
  needsKey = true,
  kinds = BUILT_IN,
): Config {
  const settings = settingsOf(kinds)
  const { env, faults: fileFaults, sourceOf } = readSecretFiles(given)
  const isSet = (name: string) => Boolean(env[name] || env[`${name}_FILE`])
  const faults = [...fileFaults]
  const table: Readonly<Record<string, Setting<unknown>>> = SETTINGS
  for (const [name, setting] of Object.entries(kinds.settings)) {
    if (Object.hasOwn(table, name) && table[name] !== setting)
      faults.push(`${name}: expected another name for the setting of a kind: there is one of this name`)
  }
  const values = Object.entries(settings).map(([name, setting]) => {
    try {
      return [name, setting.read(env[name] || setting.fallback)]
    } catch (error) {
      faults.push(`${sourceOf(name)}: expected ${error instanceof Error ? error.message : error}`)
      return [name, undefined]
    }
  })
  for (const name of required) if (!isSet(name)) faults.push(`${name}: expected to be set`)
  if (needsKey && isSet('REDIS_URL') && !KEYS.some(isSet)) faults.push(`${KEYS.join(' or ')}: expected one to be set, since REDIS_URL is`)
  if (needsKey && isSet('JWT_JWKS_URL') && !isSet('JWT_AUDIENCE'))
    faults.push(
      'JWT_AUDIENCE: expected to be set, since JWT_JWKS_URL is: the audience of your tokens, or any, which accepts tokens for every service',
    )
  if (isSet('AUTH_COOKIE') && !isSet('ALLOWED_ORIGINS') && !isSet('PUBLIC_URL'))
    faults.push('ALLOWED_ORIGINS or PUBLIC_URL: expected one to be set, since AUTH_COOKIE is: whose pages may use the cookie')
  if (faults.length > 0) throw new ConfigError(faults)
  return Object.fromEntries(values) as Config // every name of the table has been read
}

/** A number of a kind: a constant, or the value of a setting. */
export function numberIn(config: Config, value: NumberOrSetting): number {
  return typeof value === 'number' ? value : Number(Reflect.get(config, value.setting))
}

export class ConfigError extends Error {
  /** One line per fault: the setting and what is expected. */
  readonly faults: readonly string[]

  constructor(faults: readonly string[], options?: ErrorOptions) {
    super(`The settings are not valid:\n${faults.map((fault) => `  ${fault}`).join('\n')}`, options)
    this.name = 'ConfigError'
    this.faults = faults
  }
}
