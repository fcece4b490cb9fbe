import { readFileSync } from 'node:fs'
import t from 'tap'
import type { KubeObject } from './objects.js'
import { COMPONENTS, OVERLAYS, render, renderDocument } from './render.js'
import { RULES } from './rules/rules.js'
import { schemaFaults } from './strict-schema.js'

const rendered = new Map<string, KubeObject[]>()
for (const overlay of OVERLAYS)
  for (const components of [[], ...COMPONENTS.map((name) => [name]), [...COMPONENTS]])
    rendered.set([overlay, ...components].join(' + '), await render(overlay, components))

for (const [name, objects] of rendered) {
  t.test(`${name}: every object is valid by the schema of its kind, with no field too many`, async (t) => {
    t.ok(objects.length > 15)
    t.same(await schemaFaults(objects), [])
  })

  for (const [rule, faultsOf] of Object.entries(RULES))
    t.test(`${name}: ${rule}`, async (t) => {
      t.same(faultsOf(objects), [])
    })
}

t.test('the overlay that the documents show is one', async (t) => {
  const objects = await renderDocument()
  t.same(await schemaFaults(objects), [])
  for (const [rule, faultsOf] of Object.entries(RULES)) t.same(faultsOf(objects), [], rule)
  t.match(objects.find(({ kind }) => kind === 'ConfigMap')?.data, { LOG_LEVEL: 'warn' })
  // What kube-prometheus-stack looks for.
  const monitored = objects.filter(({ apiVersion }) => apiVersion.startsWith('monitoring.coreos.com/'))
  t.same(
    monitored.map(({ kind, metadata }) => [kind, metadata.labels?.release]),
    [
      ['PodMonitor', 'kube-prometheus-stack'],
      ['PrometheusRule', 'kube-prometheus-stack'],
    ],
  )
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
  const text = JSON.stringify(objects)
  t.ok(text.includes(`registry.example/runcast:${version}"`))
  t.match(text, /"host":"jobs.example".*"secretName":"jobs-tls"/)
})

/** All that the tests render, as one that has everything; a change is made in a copy of it. */
function changed(overlay: (typeof OVERLAYS)[number], change: Change): KubeObject[] {
  const objects = structuredClone(rendered.get([overlay, ...COMPONENTS].join(' + ')) ?? [])
  const { at, path, to } = change
  const object = objects.find(({ kind, metadata }) => at === `${kind} ${metadata.name}` || (kind === 'ConfigMap' && at === 'ConfigMap'))
  if (!object) throw new Error(`there is no ${at}`)
  const keys = path.split('/').map((key) => key.replaceAll('~1', '/'))
  const last = keys.pop() ?? ''
  // biome-ignore lint/suspicious/noExplicitAny: the path says what is there
  const owner = keys.reduce<any>((value, key) => value[key], object)
  if (to === undefined) delete owner[last]
  else owner[last] = to
  return objects
}

/** A fault in the manifests: in which object, where, what stands there then; nothing where it is taken out. */
interface Change {
  readonly at: string
  readonly path: string
  readonly to?: unknown
}

const POD = 'spec/template/spec'
const CONTAINER = `${POD}/containers/0`

const WRONG_BY_SCHEMA: readonly [what: string, change: Change, fault: RegExp][] = [
  ['a misspelt field at the top', { at: 'Deployment runcast-hub', path: 'spce', to: {} }, /unknown field \/spce/],
  ['one in the spec', { at: 'Deployment runcast-hub', path: 'spec/replica', to: 1 }, /unknown field \/spec\/replica/],
  [
    'one in a pod',
    { at: 'Deployment runcast-solver', path: `${POD}/terminationGracePeriodSecond`, to: 60 },
    /unknown field .*PeriodSecond/,
  ],
  [
    'one in a probe',
    { at: 'Deployment runcast-hub', path: `${CONTAINER}/readinessProbe/httpGet/pth`, to: '/readyz' },
    /\/0\/readinessProbe\/httpGet\/pth/,
  ],
  [
    'one in a policy of the network',
    { at: 'NetworkPolicy dns', path: 'spec/egress/0/port', to: [] },
    /unknown field \/spec\/egress\/0\/port/,
  ],
  [
    'one in the autoscaler',
    { at: 'HorizontalPodAutoscaler runcast-hub', path: 'spec/behavior/scaleDown/stabilisation', to: 1 },
    /scaleDown\/stabilisation/,
  ],
  ['one of KEDA', { at: 'ScaledObject runcast-solver', path: 'spec/coolDownPeriod', to: 1 }, /unknown field \/spec\/coolDownPeriod/],
  [
    'one of the Prometheus operator',
    { at: 'PodMonitor runcast', path: 'spec/podMetricsEndpoints/0/intervall', to: '15s' },
    /Endpoints\/0\/intervall/,
  ],
  ['a required field that is missing', { at: 'Deployment runcast-hub', path: 'spec/selector' }, /selector/],
  ['a missing name of a container', { at: 'Deployment runcast-hub', path: `${CONTAINER}/name` }, /name/],
  [
    'a number as a text',
    { at: 'Deployment runcast-hub', path: `${POD}/terminationGracePeriodSeconds`, to: '40' },
    /terminationGracePeriodSeconds.*integer/,
  ],
  ['a text as a number', { at: 'Deployment runcast-solver', path: `${CONTAINER}/env/0/value`, to: 5 }, /value.*string/],
  ['an object of no known kind', { at: 'Service runcast-hub', path: 'kind', to: 'Servise' }, /Servise/],
]

for (const [what, change, fault] of WRONG_BY_SCHEMA)
  t.test(`the schemas are strict: ${what} fails`, async (t) => {
    const faults = await schemaFaults(changed('single', change)).catch((error: Error) => [error.message])
    t.match(faults, [fault])
    t.equal(faults.length, 1)
  })

/** What each rule finds: the rule, a fault, and what it says of it. */
const WRONG_BY_RULE: readonly [rule: keyof typeof RULES, change: Change, fault: RegExp][] = [
  ['references', { at: 'Deployment runcast-hub', path: 'spec/selector/matchLabels/app.kubernetes.io~1component', to: 'hub2' }, /./],
  ['references', { at: 'Deployment runcast-hub', path: `${CONTAINER}/livenessProbe/httpGet/port`, to: 'metric' }, /no port metric/],
  ['references', { at: 'Deployment runcast-hub', path: `${CONTAINER}/readinessProbe` }, /no readinessProbe/],
  [
    'references',
    { at: 'Deployment runcast-hub', path: `${CONTAINER}/envFrom/0/configMapRef/name`, to: 'settings' },
    /no config map settings/,
  ],
  ['references', { at: 'Deployment runcast-hub', path: `${POD}/volumes/0/secret/secretName`, to: 'jwt' }, /no secret jwt/],
  ['references', { at: 'Deployment runcast-solver', path: 'spec/replicas', to: 2 }, /replicas and autoscaler/],
  ['references', { at: 'Service runcast-hub', path: 'spec/ports/0/targetPort', to: 'htpp' }, /no port htpp/],
  ['references', { at: 'Service runcast-hub', path: 'spec/selector', to: { app: 'hub' } }, /selects nothing/],
  ['references', { at: 'Ingress runcast', path: 'spec/rules/0/http/paths/0/backend/service/port/name', to: 'https' }, /leads nowhere/],
  ['references', { at: 'HorizontalPodAutoscaler runcast-hub', path: 'spec/scaleTargetRef/name', to: 'hub' }, /nothing to scale/],
  ['references', { at: 'PodDisruptionBudget runcast-hub', path: 'spec/selector/matchLabels', to: { app: 'hub' } }, /selects nothing/],
  ['references', { at: 'PodDisruptionBudget runcast-solver', path: 'metadata/namespace', to: 'default' }, /not in the namespace/],
  ['references', { at: 'NetworkPolicy hub-from-ingress', path: 'spec/podSelector/matchLabels', to: { app: 'hub' } }, /selects nothing/],
  ['references', { at: 'PodMonitor runcast', path: 'spec/podMetricsEndpoints/0/port', to: 'http' }, /has no port http/],
  ['settings', { at: 'ConfigMap', path: 'data/DRAIN_SECONDS', to: '10' }, /DRAIN_SECONDS is no setting/],
  ['settings', { at: 'ConfigMap', path: 'data/DRAIN_MS', to: '10s' }, /DRAIN_MS: expected/],
  ['settings', { at: 'ConfigMap', path: 'data/METRICS_PORT', to: '9502' }, /not METRICS_PORT/],
  ['settings', { at: 'ConfigMap', path: 'data/PORT', to: '8080' }, /not PORT/],
  ['settings', { at: 'ConfigMap', path: 'data/HOST', to: '127.0.0.1' }, /nobody outside/],
  ['settings', { at: 'Deployment runcast-hub', path: `${CONTAINER}/env/0/value`, to: '/tmp/jwt' }, /not in a secret/],
  ['settings', { at: 'ConfigMap', path: 'data/REDIS_URL', to: 'redis://user:password@redis' }, /in the open/],
  ['settings', { at: 'Deployment runcast-solver', path: `${CONTAINER}/env/0/value`, to: 'solver' }, /WORKER_KINDS: expected/],
  [
    'settings',
    { at: 'Deployment runcast-solver', path: `${POD}/volumes/0`, to: { name: 'tmp', secret: { secretName: 'runcast-jwt' } } },
    /for hubs alone/,
  ],
  ['settings', { at: 'Service runcast-hub', path: 'kind', to: 'Secret' }, /in the open/],
  ['stops', { at: 'Deployment runcast-hub', path: `${POD}/terminationGracePeriodSeconds`, to: 25 }, /killed after 25000 ms/],
  ['stops', { at: 'Deployment runcast-solver', path: `${POD}/terminationGracePeriodSeconds` }, /killed after 30000 ms/],
  ['stops', { at: 'ConfigMap', path: 'data/DRAIN_MS', to: '60000' }, /runcast-hub is killed/],
  ['stops', { at: 'ConfigMap', path: 'data/WORKER_FINISH_MS', to: '60000' }, /runcast-benchmark is killed/],
  ['stops', { at: 'Deployment runcast-hub', path: `${CONTAINER}/lifecycle` }, /before nobody is sent/],
  ['stops', { at: 'Deployment runcast-hub', path: 'spec/strategy/rollingUpdate/maxUnavailable', to: 1 }, /before another one is ready/],
  ['stops', { at: 'Deployment runcast-hub', path: `${CONTAINER}/readinessProbe/httpGet/path`, to: '/livez' }, /not asked/],
  ['stops', { at: 'Deployment runcast-hub', path: `${CONTAINER}/livenessProbe/httpGet/path`, to: '/readyz' }, /would be restarted/],
  ['images', { at: 'Deployment runcast-hub', path: `${CONTAINER}/image`, to: 'runcast:latest' }, /no version/],
  ['images', { at: 'Deployment runcast-hub', path: `${CONTAINER}/image`, to: 'localhost:5000/runcast' }, /no version/],
  ['podSecurity', { at: 'ServiceAccount runcast', path: 'automountServiceAccountToken' }, /gives its token/],
  [
    'podSecurity',
    { at: 'Namespace runcast', path: 'metadata/labels/pod-security.kubernetes.io~1enforce', to: 'baseline' },
    /does not enforce/,
  ],
  ['podSecurity', { at: 'Deployment runcast-hub', path: `${POD}/automountServiceAccountToken` }, /has a token/],
  ['podSecurity', { at: 'Deployment runcast-hub', path: `${POD}/serviceAccountName` }, /no account/],
  ['podSecurity', { at: 'Deployment runcast-hub', path: `${POD}/hostNetwork`, to: true }, /uses the host/],
  ['podSecurity', { at: 'Deployment runcast-hub', path: `${POD}/securityContext/runAsNonRoot` }, /as root/],
  ['podSecurity', { at: 'Deployment runcast-hub', path: `${POD}/securityContext/runAsUser`, to: 0 }, /as root/],
  ['podSecurity', { at: 'Deployment runcast-hub', path: `${POD}/securityContext/seccompProfile` }, /seccomp/],
  [
    'podSecurity',
    { at: 'Deployment runcast-hub', path: `${POD}/volumes/1`, to: { name: 'tmp', hostPath: { path: '/tmp' } } },
    /volumes of the host/,
  ],
  ['podSecurity', { at: 'StatefulSet runcast-redis', path: `${CONTAINER}/securityContext/allowPrivilegeEscalation` }, /gain privileges/],
  ['podSecurity', { at: 'StatefulSet runcast-redis', path: `${CONTAINER}/securityContext/capabilities` }, /capabilities/],
  ['podSecurity', { at: 'StatefulSet runcast-redis', path: `${CONTAINER}/securityContext/readOnlyRootFilesystem` }, /write to its root/],
  ['podSecurity', { at: 'Deployment runcast-hub', path: `${CONTAINER}/resources/limits` }, /limit of memory/],
  ['network', { at: 'NetworkPolicy default-deny', path: 'spec/policyTypes', to: ['Ingress'] }, /default-deny/],
  ['network', { at: 'NetworkPolicy dns', path: 'spec/egress', to: [] }, /kube-system:53 is forbidden/],
  ['network', { at: 'NetworkPolicy hub-from-ingress', path: 'spec/ingress/0/ports' }, /ingress-nginx:9501 is allowed/],
  ['network', { at: 'NetworkPolicy hub-from-ingress', path: 'spec/ingress', to: [] }, /ingress-nginx:8501 is forbidden/],
  ['network', { at: 'NetworkPolicy metrics-from-monitoring', path: 'spec/ingress/0/from' }, /elsewhere:9501 is allowed/],
  ['network', { at: 'NetworkPolicy metrics-from-monitoring', path: 'spec/ingress', to: [] }, /monitoring:9501 is forbidden/],
  [
    'network',
    { at: 'NetworkPolicy benchmark-to-outside', path: 'spec/podSelector/matchLabels/app.kubernetes.io~1component', to: 'solver' },
    /443 is allowed/,
  ],
  [
    'network',
    { at: 'NetworkPolicy benchmark-to-outside', path: 'spec/egress/0/to/0/ipBlock/except', to: [] },
    /169.254.169.254:443 is allowed/,
  ],
  ['network', { at: 'NetworkPolicy to-redis', path: 'spec/egress', to: [] }, /runcast-solver: Egress .*6379 is forbidden/],
  ['network', { at: 'NetworkPolicy redis-from-runcast', path: 'spec/ingress', to: [] }, /runcast-redis: Ingress .*6379 is forbidden/],
  ['network', { at: 'NetworkPolicy redis-from-runcast', path: 'spec/ingress/0/from' }, /6379 is allowed/],
  [
    'queues',
    { at: 'ScaledObject runcast-solver', path: 'spec/triggers/0/metadata/url', to: 'http://runcast-hub.runcast.svc:8501/metrics' },
    /asks at/,
  ],
  [
    'queues',
    {
      at: 'ScaledObject runcast-solver',
      path: 'spec/triggers/0/metadata/valueLocation',
      to: 'runcast_queue_jobs{queue="runs",state="waiting"}',
    },
    /is not/,
  ],
  [
    'queues',
    { at: 'ScaledObject runcast-solver', path: 'spec/advanced/scalingModifiers/formula', to: 'run_waiting' },
    /computes with run_waiting/,
  ],
  ['queues', { at: 'ScaledObject runcast-solver', path: 'spec/advanced/scalingModifiers/target', to: '5' }, /2 at a time/],
  ['network', { at: 'NetworkPolicy metrics-from-keda', path: 'spec/ingress', to: [] }, /keda:9501 is forbidden/],
  [
    'network',
    { at: 'NetworkPolicy metrics-from-keda', path: 'spec/podSelector/matchLabels', to: { 'runcast/redis-client': 'true' } },
    /solver: Ingress keda:9501 is allowed/,
  ],
  ['parts', { at: 'Deployment runcast-hub', path: `${POD}/topologySpreadConstraints/0` }, /runcast-hub is not spread by kubernetes/],
  [
    'parts',
    { at: 'Deployment runcast-hub', path: `${POD}/topologySpreadConstraints/1/topologyKey`, to: 'zone' },
    /spread by topology.*zone/,
  ],
  ['parts', { at: 'Deployment runcast-solver', path: `${POD}/topologySpreadConstraints` }, /runcast-solver is not spread/],
  [
    'parts',
    { at: 'Deployment runcast-benchmark', path: `${POD}/topologySpreadConstraints/0/whenUnsatisfiable`, to: 'DoNotSchedule' },
    /benchmark is not/,
  ],
  ['parts', { at: 'Deployment runcast-hub', path: `${POD}/securityContext/fsGroup` }, /runcast-hub cannot read its volumes/],
  ['parts', { at: 'StatefulSet runcast-redis', path: `${POD}/securityContext/fsGroup` }, /runcast-redis cannot read its volumes/],
  ['parts', { at: 'Deployment runcast-hub', path: `${POD}/volumes/0/secret/defaultMode`, to: 0o400 }, /cannot read runcast-jwt/],
  ['parts', { at: 'Deployment runcast-hub', path: `${POD}/volumes/0/secret/defaultMode` }, /lets everyone read runcast-jwt/],
  ['parts', { at: 'Ingress runcast', path: 'metadata/annotations' }, /read-timeout cuts off.*send-timeout cuts off.*buffering.*body-size/s],
  ['parts', { at: 'ConfigMap', path: 'data/TRUSTED_PROXIES', to: '10.0.0.0/8' }, /100.64.1.7 is not trusted/],
  ['parts', { at: 'ConfigMap', path: 'data/TRUSTED_PROXIES', to: '0.0.0.0/0' }, /everyone is trusted/],
  ['parts', { at: 'PodDisruptionBudget runcast-hub', path: 'spec/maxUnavailable', to: 0 }, /no machine be drained/],
  ['parts', { at: 'PodDisruptionBudget runcast-hub', path: 'spec/maxUnavailable', to: 2 }, /all be evicted/],
  ['parts', { at: 'PodDisruptionBudget runcast-solver', path: 'spec/unhealthyPodEvictionPolicy' }, /holds back/],
  ['parts', { at: 'PodDisruptionBudget runcast-hub', path: 'kind', to: 'Namespace' }, /runcast-hub has no budget/],
  ['parts', { at: 'HorizontalPodAutoscaler runcast-hub', path: 'spec/minReplicas', to: 1 }, /may be 1 to 4/],
  ['parts', { at: 'HorizontalPodAutoscaler runcast-hub', path: 'spec/maxReplicas', to: 2 }, /may be 2 to 2/],
]

for (const [rule, change, fault] of WRONG_BY_RULE) {
  const what = change.to === undefined ? 'taken out' : JSON.stringify(change.to)
  t.test(`${rule} finds ${change.at} ${change.path}: ${what}`, async (t) => {
    t.match(RULES[rule](changed('single', change)).join('\n'), fault)
  })
}

t.test('every rule is shown to find something', async (t) => {
  t.same(
    Object.keys(RULES).filter((rule) => !WRONG_BY_RULE.some(([name]) => name === rule)),
    [],
  )
})
