/**
 * The layers of the sources, from top to bottom. A layer imports itself and those below it. `cli` and `embedded` are leaves: only mains import them.
 * What computes (`workers/<kind>`) stands above the engine of workers; `app` puts everything together. What a built-in kind has in Node beside its contract, its
 * routes and the files of its settings, stands above `http`: nobody but `app` and `workers` needs it.
 */
export const LAYERS = [
  'src/cli',
  'src/embedded',
  'src/app',
  'workers',
  'src/observability',
  'src/kinds/node',
  'src/http',
  'src/worker',
  'src/jobs',
  'src/queue',
  'src/hub',
  'src/storage',
  'src/client',
  'src/config',
  'src/kinds',
  'src/core',
  'src/protocol',
]
const within = (layer) => `^${layer}/`

/** npm packages that only these sources import. */
const PACKAGES = {
  bullmq: '^src/(queue/bullmq|worker)/',
  ioredis: '^src/(storage/redis|queue/bullmq|worker)/',
  'prom-client': '^src/observability/',
  '@opentelemetry/api': '^src/core/tracing\\.ts$',
  '@opentelemetry/sdk-node': '^src/app/start-tracing\\.ts$',
  openai: '^workers/benchmark/',
  '@aws-sdk/[^/]+': '^src/storage/artifacts/',
  'eventsource-parser': '^workers/benchmark/',
  'pure-rand': '^workers/optimization/',
  'redos-detector': '^src/protocol/',
  'fast-jwt': '^src/(cli|http)/',
  '@fastify/[^/]+': '^src/(http|app|kinds/node)/',
}

export default {
  forbidden: [
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    { name: 'no-orphan', severity: 'error', from: { orphan: true, pathNot: '(^|/)main\\.ts$' }, to: {} },
    { name: 'resolves', severity: 'error', from: {}, to: { couldNotResolve: true } },
    ...LAYERS.slice(1).map((layer, i) => ({
      name: `${layer} imports no layer above it`,
      severity: 'error',
      from: { path: within(layer), pathNot: ['^workers/main\\.ts$', ...(layer === 'src/kinds' ? [within('src/kinds/node')] : [])] },
      to: { path: LAYERS.slice(0, i + 1).map(within) },
    })),
    {
      name: 'leaves',
      comment: 'The command line and the embedded stack are imported by nobody.',
      severity: 'error',
      from: { pathNot: '^src/(cli|embedded)/' },
      to: { path: '^src/(cli|embedded)/' },
    },
    {
      name: 'browser',
      comment: 'What runs in browsers, the contracts of kinds with it, imports neither Node nor, in the client, any package.',
      severity: 'error',
      from: { path: '^src/(protocol|core|client|kinds)/', pathNot: within('src/kinds/node') },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'client needs no package',
      severity: 'error',
      from: { path: '^src/client/' },
      to: { path: 'node_modules', dependencyTypesNot: ['type-only'] },
    },
    ...Object.entries(PACKAGES).map(([name, path]) => ({
      name: `${name} behind its port`,
      severity: 'error',
      from: { pathNot: path },
      to: { path: `node_modules/${name}/` },
    })),
    {
      name: 'no-dev-dependency',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg'], dependencyTypesNot: ['npm-peer'] },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
      extensions: ['.ts', '.js'],
    },
  },
}
