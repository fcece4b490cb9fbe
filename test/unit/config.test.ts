import { createRequire } from 'node:module'
import { join } from 'node:path'
import t from 'tap'
import { startTracing } from '../../src/app/start-tracing.js'
import { ConfigError, loadConfig, SETTINGS, type SettingName } from '../../src/config/config.js'

const SECRET = 'ein-geheimnis-das-niemand-sehen-soll'

t.test('nothing set: every setting has its default, and each default is valid', async (t) => {
  const config = loadConfig({})
  t.same(Object.keys(config), Object.keys(SETTINGS))
  t.match(config, {
    PORT: 8501,
    HOST: '127.0.0.1',
    REDIS_URL: '',
    REDIS_PREFIX: 'runcast',
    JWT_SECRET: '',
    LOG_LEVEL: 'info',
    READY_NEEDS_WORKER: 'no',
    MAX_BREACHES_PER_MINUTE: 16,
    MAX_INBOUND_BYTES: 65_536,
    ACTIVE_TTL_MS: 604_800_000,
  })
  for (const [name, { about, fallback }] of Object.entries(SETTINGS)) {
    t.match(about, /^[A-Z].*\.$/, `${name} is described by a sentence`)
    t.doesNotThrow(() => loadConfig({ [name]: fallback }), `${name}=${fallback} is what it would be anyway`)
  }
})

t.test('what is set is read; what is empty is as good as not set; what is unknown is left alone', async (t) => {
  const set = {
    PORT: '80',
    HOST: '::1',
    REDIS_URL: 'rediss://:word@cache.example:6380/2',
    JWT_SECRET: SECRET,
    LOG_LEVEL: 'silent',
    READY_NEEDS_WORKER: 'yes',
  }
  t.match(loadConfig(set), { ...set, PORT: 80 })
  const empty = Object.fromEntries(Object.keys(SETTINGS).map((name) => [name, '']))
  t.same(loadConfig(empty), loadConfig({}), 'an empty HOST does not open the hub to the world')
  t.same(loadConfig({ PATH: '/bin', HOME: undefined }), loadConfig({}))
  t.notSame(loadConfig({ LINGER_MS: '0' }), loadConfig({}), 'zero is not empty')
})

t.test('each kind of fault is told with what is expected', async (t) => {
  const faults: Record<string, [value: string, expected: string][]> = {
    PORT: ['0', '65536', '-1', '80.5', 'http', '8o', ' ', '1e9', 'NaN', 'Infinity'].map((value) => [value, 'an integer from 1 to 65535']),
    LOG_LEVEL: ['INFO', 'verbose', ' info'].map((value) => [value, 'one of fatal, error, warn, info, debug, trace, silent']),
    READY_NEEDS_WORKER: ['true', '1'].map((value) => [value, 'one of yes, no']),
    WORKER_KINDS: ['solver', 'run,', ',', 'run;benchmark'].map((value) => [
      value,
      'one or more of run, optimization, benchmark, separated by commas',
    ]),
    HOST: [['a b', 'an address or host name']],
    REDIS_URL: ['localhost:6379', 'http://localhost', 'redis://', 'redis://a b', 'redis://a/b', 'redis://a/1/2'].map((value) => [
      value,
      'a redis:// or rediss:// URL, such as redis://127.0.0.1:6379/0',
    ]),
    REDIS_PREFIX: ['a b', '{a}', 'x'.repeat(65)].map((value) => [value, '1 to 64 of A-Z a-z 0-9 _ . : -']),
    JWT_SECRET: [['x'.repeat(31), 'at least 32 characters']],
    JWT_JWKS_URL: ['login.example', 'file:///etc/passwd'].map((value) => [value, 'an https:// or http:// URL']),
    AUTH_COOKIE: [['a b', 'a name of A-Z a-z 0-9 _ . -']],
    ALLOWED_ORIGINS: ['*', 'app.example', 'https://app.example/', 'https://App.example', 'https://a.example,', 'null'].map((value) => [
      value,
      'origins such as https://app.example, separated by commas',
    ]),
    TRUSTED_PROXIES: [['loadbalancer', 'addresses or networks such as 10.0.0.0/8, separated by commas']],
    MAX_INBOUND_BYTES: [['1023', 'an integer from 1024 to 16777216']],
  }
  for (const [name, cases] of Object.entries(faults)) {
    for (const [value, expected] of cases) {
      const env = { JWT_SECRET: SECRET, ALLOWED_ORIGINS: 'https://app.example', [name]: value }
      t.throws(() => loadConfig(env), new ConfigError([`${name}: expected ${expected}`]), `${name}=${value}`)
    }
  }
})

t.test('all faults come in one error, each on a line, and no value in it: one may be a secret', async (t) => {
  const secret = 'short-secret'
  const env = { PORT: 'x', JWT_SECRET: secret, LOG_LEVEL: 'loud', REDIS_URL: 'redis ://:password@host' }
  const error = faultOf(env)
  t.equal(error.name, 'ConfigError')
  t.same(error.message.split('\n'), [
    'The settings are not valid:',
    '  PORT: expected an integer from 1 to 65535',
    '  REDIS_URL: expected a redis:// or rediss:// URL, such as redis://127.0.0.1:6379/0',
    '  JWT_SECRET: expected at least 32 characters',
    '  LOG_LEVEL: expected one of fatal, error, warn, info, debug, trace, silent',
  ])
  for (const value of [secret, 'password', 'loud']) t.notOk(`${error.message}${error.stack}`.includes(value), value)
})

t.test('one key of the tokens is required with REDIS_URL, since others sign with it too', async (t) => {
  const REDIS_URL = 'redis://127.0.0.1:6379'
  const expected = 'JWT_SECRET or JWT_PUBLIC_KEY or JWT_JWKS_URL: expected one to be set, since REDIS_URL is'
  for (const env of [{ REDIS_URL }, { REDIS_URL, JWT_SECRET: '' }, { REDIS_URL, JWT_ISSUER: 'https://login.example' }]) {
    t.equal(faultOf(env).message, `The settings are not valid:\n  ${expected}`)
  }
  const JWKS = { JWT_JWKS_URL: 'https://login.example/keys' }
  const audience =
    'JWT_AUDIENCE: expected to be set, since JWT_JWKS_URL is: the audience of your tokens, or any, which accepts tokens for every service'
  t.equal(faultOf({ REDIS_URL, ...JWKS }).message, `The settings are not valid:\n  ${audience}`)
  t.doesNotThrow(() => loadConfig({ REDIS_URL, ...JWKS }, ['REDIS_URL'], false), 'a worker checks no token')
  const keys = [{ JWT_SECRET: SECRET }, { JWT_PUBLIC_KEY: '-----BEGIN\nPUBLIC' }, { ...JWKS, JWT_AUDIENCE: 'any' }]
  for (const key of keys) t.match(loadConfig({ REDIS_URL, ...key }), key)
  t.doesNotThrow(() => loadConfig({ JWT_SECRET: SECRET }))
  t.doesNotThrow(() => loadConfig({ REDIS_URL }, ['REDIS_URL'], false), 'who checks no token needs none')
})

t.test('lists are read at their commas; a cookie needs a list of origins', async (t) => {
  const { ALLOWED_ORIGINS, TRUSTED_PROXIES } = loadConfig({
    ALLOWED_ORIGINS: 'https://app.example, http://127.0.0.1:8501',
    TRUSTED_PROXIES: '10.0.0.0/8,::1',
  })
  t.same(ALLOWED_ORIGINS, ['https://app.example', 'http://127.0.0.1:8501'])
  t.same(TRUSTED_PROXIES, ['10.0.0.0/8', '::1'])
  t.same(loadConfig({}).ALLOWED_ORIGINS, [])
  const missing = 'ALLOWED_ORIGINS or PUBLIC_URL: expected one to be set, since AUTH_COOKIE is: whose pages may use the cookie'
  t.equal(faultOf({ AUTH_COOKIE: 'session' }).message, `The settings are not valid:\n  ${missing}`)
  t.match(loadConfig({ AUTH_COOKIE: 'session', ALLOWED_ORIGINS: 'https://app.example' }), { AUTH_COOKIE: 'session' })
  t.match(loadConfig({ AUTH_COOKIE: 'session', PUBLIC_URL: 'https://app.example' }), { AUTH_COOKIE: 'session' })
})

t.test('what a process cannot do without has to be set', async (t) => {
  for (const env of [{}, { REDIS_URL: '' }]) {
    t.throws(() => loadConfig(env, ['REDIS_URL']), new ConfigError(['REDIS_URL: expected to be set']))
  }
  t.doesNotThrow(() => loadConfig({ REDIS_URL: 'redis://127.0.0.1:6379', JWT_SECRET: SECRET }, ['REDIS_URL']))
})

t.test('a secret may lie in a file: its content counts, without the white space around it, and is in no fault', async (t) => {
  const REDIS_URL = 'redis://:word@cache.example:6379'
  const folder = t.testdir({ secret: `${SECRET}\n`, url: ` ${REDIS_URL}\n`, short: 'short-secret', empty: ' \n' })
  const at = (name: string) => join(folder, name)
  const config = loadConfig({ REDIS_URL_FILE: at('url'), JWT_SECRET_FILE: at('secret') }, ['REDIS_URL', 'JWT_SECRET'])
  t.match(config, { REDIS_URL, JWT_SECRET: SECRET })
  t.match(loadConfig({ JWT_SECRET: SECRET, JWT_SECRET_FILE: '' }), { JWT_SECRET: SECRET }, 'an empty one is as good as not set')
  const faults: [env: Record<string, string>, fault: string][] = [
    [{ JWT_SECRET: SECRET, JWT_SECRET_FILE: at('secret') }, 'JWT_SECRET_FILE: expected not to be set, since JWT_SECRET is'],
    [{ JWT_SECRET_FILE: at('nothing') }, 'JWT_SECRET_FILE: expected the path of a file that can be read'],
    [{ JWT_SECRET_FILE: folder }, 'JWT_SECRET_FILE: expected the path of a file that can be read'],
    [{ JWT_SECRET_FILE: at('empty') }, 'JWT_SECRET_FILE: expected a file that is not empty'],
    [{ JWT_SECRET_FILE: at('short') }, 'JWT_SECRET_FILE: expected at least 32 characters'],
    [
      { JWT_SECRET: SECRET, REDIS_URL_FILE: at('short') },
      'REDIS_URL_FILE: expected a redis:// or rediss:// URL, such as redis://127.0.0.1:6379/0',
    ],
    [{ REDIS_URL_FILE: at('url') }, 'JWT_SECRET or JWT_PUBLIC_KEY or JWT_JWKS_URL: expected one to be set, since REDIS_URL is'],
  ]
  for (const [env, fault] of faults) t.equal(faultOf(env).message, `The settings are not valid:\n  ${fault}`)
  const unread = faultOf({ REDIS_URL_FILE: at('nothing'), JWT_SECRET: SECRET }, ['REDIS_URL']).message
  t.equal(unread, 'The settings are not valid:\n  REDIS_URL_FILE: expected the path of a file that can be read', 'one fault is told once')
})

function faultOf(env: Record<string, string>, required: readonly SettingName[] = []): Error {
  try {
    loadConfig(env, required)
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('no fault was found')
}

t.test('[TRACE-2] nothing of the SDK of OpenTelemetry is loaded unless it is configured', async (t) => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:1' }
  const said = () => t.fail('nothing is logged')
  for (const env of [
    {},
    { OTEL_EXPORTER_OTLP_ENDPOINT: '', OTEL_TRACES_EXPORTER: ' ', OTEL_SERVICE_NAME: 'mine' },
    { ...endpoint, OTEL_SDK_DISABLED: 'True' },
    { ...endpoint, OTEL_TRACES_EXPORTER: 'none' },
  ]) {
    const tracing = await startTracing(env, 'runcast-hub', { info: said, warn: said, error: said })
    await tracing.close()
  }
  const loaded = Object.keys(createRequire(import.meta.url).cache).filter((file) => file.includes('/@opentelemetry/'))
  t.ok(loaded.length > 0)
  t.same(
    loaded.filter((file) => !file.includes('/@opentelemetry/api/')),
    [],
  )
})
