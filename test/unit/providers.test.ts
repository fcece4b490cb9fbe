import { join } from 'node:path'
import t, { type Test } from 'tap'
import { catalogueOf } from '../../src/kinds/benchmark/catalogue.js'
import { modelFaults } from '../../src/kinds/benchmark/model.js'
import { loadKeys, loadProviders, ProvidersError } from '../../src/kinds/node/benchmark/load-providers.js'
import { Secrets } from '../../workers/benchmark/secrets.js'
import { targetsOf } from '../../workers/benchmark/target.js'

const MODEL = { name: 'org/large-1', context_window: 128_000, price_per_million_input: 2.5, price_per_million_output: 10 }
const PROVIDER = { name: 'acme', base_url: 'https://api.acme.example/v1', api_key_env: 'ACME_KEY', models: [MODEL] }
const INPUT = { models: [], runs: 1, context_tiers: [0], max_tokens: 1, timeout_s: 1, warmup: 0 }
const LOCAL = { baseUrl: 'http://127.0.0.1:1/v1', key: 'local-key' }

function fileOf(t: Test, content: unknown): string {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  return join(t.testdir({ 'providers.json': text }), 'providers.json')
}

function faultsOf(path: string): string[] {
  try {
    loadProviders(path)
  } catch (error) {
    if (error instanceof ProvidersError)
      return error.message
        .split('\n')
        .slice(1)
        .map((line) => line.trim())
    throw error
  }
  return []
}

t.test('[BENCH-1] providers come from the file alone; keys from the variables that it names', async (t) => {
  const path = fileOf(t, {
    providers: [PROVIDER, { name: 'open', base_url: 'http://gpu:8000/v1', models: [{ name: 'small', context_window: 4096 }] }],
  })
  const providers = loadProviders(path)
  t.same(loadProviders(''), [], 'no file: the local model alone')
  const keys = loadKeys(providers, path, { ACME_KEY: 'secret', OTHER: 'x' })
  t.same([...keys], [['acme', 'secret']])
  const targets = targetsOf(providers, keys, LOCAL)
  t.same([...targets.keys()], ['local/ngram', 'acme/org/large-1', 'open/small'])
  t.match(targets.get('acme/org/large-1'), {
    name: 'org/large-1',
    key: 'secret',
    prices: { input: 2.5, output: 10 },
    contextWindow: 128_000,
  })
  t.match(targets.get('open/small'), { key: null, prices: null, baseUrl: 'http://gpu:8000/v1', maxTokensField: 'max_tokens' })
})

t.test('[BENCH-1] what is wrong with the file is told with path and expectation, all of it, and without a value', async (t) => {
  const secret = 'sk-somebody-put-it-here'
  const path = fileOf(t, {
    providers: [
      { ...PROVIDER, api_key: secret, base_url: 'https://user:pass@host/v1' },
      { name: 'Bad Name', base_url: 'ftp://x', models: [] },
      { name: 'third', base_url: 'http://x', models: [{ name: 'm', context_window: '4k' }] },
    ],
  })
  const faults = faultsOf(path)
  for (const at of [
    '/providers/0/api_key',
    '/providers/0/base_url',
    '/providers/1/name',
    '/providers/1/base_url',
    '/providers/1/models',
    '/providers/2/models/0/context_window',
  ])
    t.ok(
      faults.some((fault) => fault.startsWith(`${at}: expected `)),
      `${at} in ${faults.join(' | ')}`,
    )
  t.notOk(faults.join().includes(secret))
  t.notOk(faults.join().includes('pass'))
  t.same(faultsOf(fileOf(t, `{"providers": [{"api_key": "${secret}",]}`)), ['the file is not JSON'])
  t.same(faultsOf(join(t.testdir({}), 'nowhere.json')), ['the file cannot be read: ENOENT'])
})

t.test('[BENCH-1] names that mean two things are faults, and so is a key variable that is not set', async (t) => {
  const twice = { ...PROVIDER, models: [MODEL, { ...MODEL }] }
  t.same(faultsOf(fileOf(t, { providers: [twice, PROVIDER, { ...PROVIDER, name: 'local' }] })), [
    '/providers/0/models/1/name: expected a unique name within the provider, not org/large-1',
    '/providers/1/name: expected a unique name other than local, not acme',
    '/providers/2/name: expected a unique name other than local, not local',
  ])
  const path = fileOf(t, { providers: [PROVIDER] })
  for (const env of [{}, { ACME_KEY: '' }])
    t.throws(() => loadKeys(loadProviders(path), path, env), {
      name: 'ProvidersError',
      message: /\/providers\/0\/api_key_env: expected the environment variable ACME_KEY/,
    })
})

t.test('[BENCH-8] the catalogue has names, windows and prices, and neither address nor key', async (t) => {
  const models = catalogueOf(loadProviders(fileOf(t, { providers: [PROVIDER] })))
  t.match(models[0], { id: 'local/ngram', provider: 'local', name: 'ngram', context_window: 8192, description: /trigram/ })
  t.match(models[1], { id: 'acme/org/large-1', provider: 'acme', name: 'org/large-1', price_per_million_output: 10 })
  t.notMatch(JSON.stringify(models), /api\.acme|ACME_KEY/)
  t.same(modelFaults({ ...INPUT, models: ['local/ngram', 'acme/x'] }, models), [
    { path: '/input/models/1', expected: 'one of local/ngram, acme/org/large-1' },
  ])
})

t.test('[BENCH-7] a key is taken out of a text: whole, in part, encoded, behind Bearer, or of the usual form', async (t) => {
  const key = 'prod+7Hk/2mQ9xT4bWc0RzLq8'
  const secrets = new Secrets([key, 'tiny'])
  t.equal(secrets.scrub(`Incorrect API key provided: ${key}.`), 'Incorrect API key provided: ***.')
  t.equal(secrets.scrub(`key ${key.slice(0, 10)} and ${key.slice(-9)} tiny`), 'key *** and *** ***')
  t.equal(secrets.scrub(encodeURIComponent(key)), '***')
  t.equal(secrets.scrub('authorization: Bearer abc.def, then'), 'authorization: Bearer ***, then')
  t.equal(secrets.scrub('You passed sk-proj-****9xYz'), 'You passed ***')
  t.equal(secrets.scrub('Rate limit reached for requests per min.'), 'Rate limit reached for requests per min.')
})
