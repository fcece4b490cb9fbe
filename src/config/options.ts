import type { Kinds } from '../core/kind.js'
import { rejectUnknownOptions } from '../core/known-options.js'
import type { Setting } from '../core/setting.js'
import { type Issue, RuncastError } from '../protocol/codes.js'
import { type Config, ConfigError, loadConfig, SETTINGS, type SettingName, settingsOf } from './config.js'

/** `FINAL_TTL_MS` → `finalTtlMs`. */
type CamelCase<S extends string> = S extends `${infer A}_${infer B}` ? `${Lowercase<A>}${Capitalize<CamelCase<B>>}` : Lowercase<S>

/** A switch becomes a boolean; any other setting keeps its type. */
type OptionOf<T> = T extends 'on' | 'off' | 'yes' | 'no' ? boolean : T

/** Settings as options of the API. */
type Options<N extends SettingName> = { readonly [K in N as CamelCase<K>]?: OptionOf<Config[K]> }

/** Options of `auth` and their settings. */
const AUTH = {
  jwtSecret: 'JWT_SECRET',
  jwtPublicKey: 'JWT_PUBLIC_KEY',
  jwksUrl: 'JWT_JWKS_URL',
  issuer: 'JWT_ISSUER',
  audience: 'JWT_AUDIENCE',
  roleClaim: 'JWT_ROLE_CLAIM',
  adminRole: 'JWT_ADMIN_ROLE',
  workerRole: 'JWT_WORKER_ROLE',
  kindsClaim: 'JWT_KINDS_CLAIM',
  cookie: 'AUTH_COOKIE',
} as const satisfies Record<string, SettingName>
const REDIS = { url: 'REDIS_URL', prefix: 'REDIS_PREFIX' } as const satisfies Record<string, SettingName>

/** Settings of hubs only. */
const OF_HUB = [
  'PUBLIC_URL',
  'DOCS',
  'ALLOWED_ORIGINS',
  'TRUSTED_PROXIES',
  'REVOCATION_TTL_MS',
  'PROVIDERS_FILE',
  'READY_NEEDS_WORKER',
  'AUTH_TIMEOUT_MS',
  'PING_INTERVAL_MS',
  'IDLE_MS',
  'EXPIRY_WARNING_MS',
  'EXPIRY_GRACE_MS',
  'MAX_BREACHES_PER_MINUTE',
  'MAX_MESSAGES_PER_SECOND',
  'MAX_INBOUND_BYTES',
  'MAX_SOCKETS_PER_USER',
  'MAX_SOCKETS',
  'MAX_UPGRADES_PER_SECOND',
  'MAX_REQUESTS_PER_SECOND',
  'MAX_STRANGER_REQUESTS_PER_SECOND',
  'MAX_CONNECTIONS',
  'MAX_PENDING_SOCKETS',
  'MAX_PENDING_SOCKETS_PER_ADDRESS',
  'MAX_PENDING_BYTES',
  'DRAIN_MS',
  'DRAIN_MIN_MS',
  'METRICS_PORT',
] as const satisfies readonly SettingName[]

/** Settings of workers only. */
const OF_WORKER = [
  'WORKER_SOLVERS',
  'WORKER_CONCURRENCY',
  'BENCHMARK_CONCURRENCY',
  'METRIC_INTERVAL_MS',
  'WORKER_FINISH_MS',
] as const satisfies readonly SettingName[]

/** Settings that a program gives in another way, or that only the command line needs. */
const ELSEWHERE = [
  'PORT',
  'HOST',
  'DATA_DIR',
  'REDIS_URL_FILE',
  'JWT_SECRET_FILE',
  'KINDS_MODULES',
  'KINDS_FILE',
  'WORKER_KINDS',
] as const satisfies readonly SettingName[]

type Grouped = (typeof AUTH)[keyof typeof AUTH] | (typeof REDIS)[keyof typeof REDIS]
type Plain = Exclude<SettingName, Grouped | (typeof ELSEWHERE)[number]>
type OfHub = Exclude<Plain, (typeof OF_WORKER)[number]>
type OfWorker = Exclude<Plain, (typeof OF_HUB)[number]>
type OfClient = Exclude<OfWorker, (typeof OF_WORKER)[number] | 'LOG_LEVEL' | `READY_${string}`>
type OptionsOf<N extends SettingName> = Options<Exclude<N, `MAX_${string}`>> & {
  /** Settings whose names begin with `MAX_`: `maxJobsPerHour`. */
  readonly limits?: Options<Extract<N, `MAX_${string}`>>
}

/** Where Redis is. */
export interface RedisOptions {
  /** `redis://…` or `rediss://…`: the same for hubs, workers and clients. */
  readonly url: string
  /** Prefix of every key. Default: `runcast`. */
  readonly prefix?: string
}

/** How tokens are verified. One of the three keys is required. */
export interface AuthOptions {
  /** Secret of the tokens (HS256), at least 32 characters. */
  readonly jwtSecret?: string
  /** Public key of the tokens, as PEM or as the path of a PEM file. */
  readonly jwtPublicKey?: string
  /** URL of the public keys of the tokens (JWK Set). Requires `audience`. */
  readonly jwksUrl?: string
  /** Required `iss` of a token. */
  readonly issuer?: string
  /** Required `aud` of a token; `any` accepts every audience. */
  readonly audience?: string
  /** Token claim that holds the role. Default: `role`. */
  readonly roleClaim?: string
  /** Value of that claim for an admin. Default: `admin`. */
  readonly adminRole?: string
  /** Value of that claim for a worker over HTTP. Default: `worker`. */
  readonly workerRole?: string
  /** Token claim that names the kinds of jobs that a worker over HTTP may claim. Default: `kinds`. */
  readonly kindsClaim?: string
  /** Name of a cookie that may carry the token, for pages of `allowedOrigins` and of the hub only. */
  readonly cookie?: string
}

interface OwnSettings {
  /**
   * Settings that your own kinds declare, each by its name in camelCase: TOUR_TIMEOUT_S is `tourTimeoutS`. The type of
   * a value is that of the default.
   */
  readonly settings?: Readonly<Record<string, string | number | boolean | readonly string[]>>
}

/** The settings of a hub, each by its name in camelCase. */
export type HubSettings = OptionsOf<OfHub> & OwnSettings
/** The settings of a hub in another server, which opens no port. */
export type MountSettings = Omit<HubSettings, 'metricsPort'>
/** The settings of a worker. */
export type WorkerSettings = OptionsOf<OfWorker> & OwnSettings
/** The settings that a client over Redis shares with hubs and workers. */
export type ClientSettings = OptionsOf<OfClient> & OwnSettings

interface Groups {
  readonly redis: RedisOptions
  readonly auth?: AuthOptions
}

/** Settings that are not options of each scope, and options that are not settings. */
const SCOPES = {
  hub: { without: OF_WORKER, others: ['auth', 'kinds', 'log'] },
  mount: { without: [...OF_WORKER, 'METRICS_PORT'], others: ['auth', 'kinds', 'log', 'prefix', 'authenticate', 'sessionMs'] },
  worker: { without: OF_HUB, others: ['work', 'concurrency', 'env', 'log'] },
  client: { without: [...OF_HUB, ...OF_WORKER, 'LOG_LEVEL', 'READY_NEEDS_WRITE'], others: ['owner', 'kinds', 'log'] },
} as const satisfies Record<string, { without: readonly SettingName[]; others: readonly string[] }>

/** The groups of options; all others are not grouped. */
const GROUPS = ['redis', 'auth', 'limits', 'settings'] as const

/**
 * THE mapping from options to settings: `finalTtlMs` is FINAL_TTL_MS, `limits.maxKeys` is MAX_KEYS, and
 * `settings.tourTimeoutS` is TOUR_TIMEOUT_S of a kind in `kinds`. Throws `invalid` with an issue for each option that
 * is unknown, of the wrong type or out of range. The issues name options and contain no values, because a value may be
 * a secret.
 */
export function configOf(scope: keyof typeof SCOPES, kinds: Kinds, options: Groups & Readonly<Record<string, unknown>>): Config {
  const table = tableOf(scope, kinds)
  const names = Object.keys(table)
  const flat = names.filter((name) => !name.includes('.'))
  rejectUnknownOptions(options, ['redis', ...SCOPES[scope].others, 'limits', 'settings', ...flat])
  const groups = GROUPS.map((group) => {
    const values = objectIn(options[group] ?? {}, group)
    const known = names.filter((name) => name.startsWith(`${group}.`)).map((name) => name.slice(group.length + 1))
    rejectUnknownOptions(values, known, `/${group}`)
    return prefixed(group, values)
  })
  const settings = settingsOf(kinds)
  const given: Readonly<Record<string, unknown>> = Object.assign({ ...options }, ...groups)
  const issues: Issue[] = []
  const env: Record<string, string> = { LOG_LEVEL: 'warn' } // stdout is the program's
  for (const [path, name] of Object.entries(table)) {
    const value = given[path]
    const setting = settings[name]
    if (value === undefined || !setting) continue
    const text = textOf(setting, value)
    if (text === null) issues.push({ path: pointerOf(path), expected: expectedOf(setting) })
    else env[name] = text
  }
  if (issues.length > 0) throw invalid(issues)
  if (!env.REDIS_URL) throw invalid([{ path: '/redis/url', expected: 'a redis:// or rediss:// URL' }])
  try {
    return loadConfig(env, ['REDIS_URL'], isHub(scope) && options.authenticate === undefined, kinds)
  } catch (error) {
    throw error instanceof ConfigError ? invalid(error.faults.map((fault) => issueOf(fault, table))) : error
  }
}

function isHub(scope: keyof typeof SCOPES): boolean {
  return scope === 'hub' || scope === 'mount'
}

/** Option paths such as `limits.maxKeys`, and the names of their settings. */
function tableOf(scope: keyof typeof SCOPES, kinds: Kinds): Readonly<Record<string, string>> {
  const grouped = { ...prefixed('redis', REDIS), ...(isHub(scope) && prefixed('auth', AUTH)) }
  const taken: readonly SettingName[] = [...Object.values(REDIS), ...Object.values(AUTH), ...ELSEWHERE, ...SCOPES[scope].without]
  const plain = (Object.keys(SETTINGS) as SettingName[]).filter((name) => !taken.includes(name))
  const own = Object.keys(settingsOf(kinds)).filter((name) => !Object.hasOwn(SETTINGS, name))
  return {
    ...(grouped as Record<string, string>), // its values are names
    ...Object.fromEntries(plain.map((name) => [`${name.startsWith('MAX_') ? 'limits.' : ''}${camelCaseOf(name)}`, name])),
    ...Object.fromEntries(own.map((name) => [`settings.${camelCaseOf(name)}`, name])),
  }
}

function camelCaseOf(name: string): string {
  return name.toLowerCase().replaceAll(/_(.)/g, (_, letter: string) => letter.toUpperCase())
}

function prefixed(group: string, values: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${group}.${name}`, value]))
}

function objectIn(value: unknown, name: string): object {
  if (typeof value === 'object' && value !== null) return value
  throw invalid([{ path: `/${name}`, expected: 'an object' }])
}

/** The text form of a value for a setting; null if the value has the wrong type. */
function textOf(setting: Setting<unknown>, value: unknown): string | null {
  const usual = usualOf(setting)
  if (Array.isArray(usual)) return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value.join() : null
  if (isSwitch(setting)) return typeof value === 'boolean' ? switchText(setting, value) : null
  return typeof value === typeof usual ? String(value) : null
}

/** The default of a setting; of one without a valid default, a text. */
function usualOf({ read, fallback }: Setting<unknown>): unknown {
  try {
    return read(fallback)
  } catch {
    return fallback
  }
}

function isSwitch(setting: Setting<unknown>): boolean {
  return ['on', 'off', 'yes', 'no'].includes(setting.fallback)
}

function switchText({ fallback }: Setting<unknown>, value: boolean): string {
  const [yes, no] = ['on', 'off'].includes(fallback) ? ['on', 'off'] : ['yes', 'no']
  return value ? yes : no
}

function expectedOf(setting: Setting<unknown>): string {
  const usual = usualOf(setting)
  if (Array.isArray(usual)) return 'an array of texts'
  if (isSwitch(setting)) return 'true or false'
  return typeof usual === 'number' ? 'a number' : 'a text'
}

/** Converts a fault of the settings to an issue with the names of the options. */
function issueOf(fault: string, table: Readonly<Record<string, string>>): Issue {
  const named = fault.replaceAll(
    /[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)*/g,
    (name) => Object.entries(table).find(([, setting]) => setting === name)?.[0] ?? name,
  )
  const [, names = '', expected = named] = /^(.*?): expected (.*)$/.exec(named) ?? []
  const [path = ''] = names.split(' or ')
  return { path: pointerOf(path), expected: path === names ? expected : expected.replace('one', `one of ${names}`) }
}

function pointerOf(path: string): string {
  return `/${path.replaceAll('.', '/')}`
}

function invalid(issues: readonly Issue[]): RuncastError {
  const message = issues.map(({ path, expected }) => `${path.slice(1).replaceAll('/', '.')}: expected ${expected}`).join('; ')
  return new RuncastError('invalid', { message, issues })
}
