import { benchmarkKind } from '../../src/kinds/benchmark/kind.js'
import { loadKeys, loadProviders } from '../../src/kinds/node/benchmark/load-providers.js'
import { implement } from '../../src/worker/implement.js'
import { benchmarkProcessor } from './benchmark.js'
import { loadCorpus } from './local/corpus.js'
import { startLocalProvider } from './local/server.js'
import { Secrets } from './secrets.js'
import { targetsOf } from './target.js'

/**
 * A benchmark only waits for the network and obeys its signal, so it runs in the event loop. When its worker starts,
 * the providers and their keys are read and the local provider is started. Rejects with `ProvidersError` if they are
 * not valid.
 */
export const benchmarkWork = implement(benchmarkKind, {
  prepare: async ({ config: { PROVIDERS_FILE }, env }) => {
    const providers = loadProviders(PROVIDERS_FILE)
    const keys = loadKeys(providers, PROVIDERS_FILE, env)
    const filler = loadCorpus()
    const local = await startLocalProvider(filler)
    const targets = targetsOf(providers, keys, local)
    const secrets = new Secrets([local.key, ...keys.values()])
    return { run: benchmarkProcessor({ targets, filler, secrets }), close: () => local.close() }
  },
})
