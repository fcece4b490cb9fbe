import { ConfigError } from '../../../src/config/config.js'
import {
  containerOf,
  environmentOf,
  isOurs,
  isSelected,
  type KubeObject,
  type LabelSelector,
  ofKind,
  selectedBy,
  type Workload,
  workloadsOf,
} from '../objects.js'
import { isWithin } from './network.js'
import { configOf, isHubContainer } from './settings.js'

const HOST = 'kubernetes.io/hostname'
const ZONE = 'topology.kubernetes.io/zone'
/** Where pods have their addresses: one of each private network, and of the one that some clouds take. */
const POD_ADDRESSES = ['10.244.1.7', '172.20.1.7', '192.168.1.7', '100.64.1.7']
const NGINX = 'nginx.ingress.kubernetes.io/'

interface Scaler {
  readonly scaleTargetRef: { readonly name: string }
  readonly minReplicas?: number
  readonly maxReplicas: number
}

interface Budget {
  readonly selector: LabelSelector
  readonly maxUnavailable?: number
  readonly unhealthyPodEvictionPolicy?: string
}

/** What an overlay would be valid without, and worse: pods apart from each other, secrets and volumes that their user can read, an ingress that holds no stream back, room to drain a machine, and never less than two hubs. */
export function parts(objects: readonly KubeObject[]): string[] {
  return [...workloadsOf(objects).flatMap(podsOf), ...ingress(objects), ...budgets(objects), ...scalers(objects)]
}

function podsOf(workload: Workload): string[] {
  const container = containerOf(workload)
  const { securityContext: own, topologySpreadConstraints = [], volumes = [] } = workload.spec.template.spec
  const faults: string[] = []
  const apart = isHubContainer(container) ? [HOST, ZONE] : isOurs(container) ? [HOST] : []
  // A machine that is the only one has to take them all.
  for (const key of apart)
    if (
      !topologySpreadConstraints.some(({ topologyKey, whenUnsatisfiable }) => topologyKey === key && whenUnsatisfiable === 'ScheduleAnyway')
    )
      faults.push(`is not spread by ${key}`)
  const secrets = volumes.flatMap(({ secret }) => secret ?? [])
  const isShared = secrets.length > 0 || workload.spec.volumeClaimTemplates !== undefined
  if (isShared && (own?.fsGroup === undefined || own.fsGroup !== own.runAsGroup)) faults.push('cannot read its volumes: fsGroup')
  for (const { secretName, defaultMode = 0o644 } of secrets) {
    if ((defaultMode & 0o040) === 0) faults.push(`cannot read ${secretName}`)
    if ((defaultMode & 0o007) !== 0) faults.push(`lets everyone read ${secretName}`)
  }
  return faults.map((fault) => `${workload.metadata.name} ${fault}`)
}

function ingress(objects: readonly KubeObject[]): string[] {
  const hub = workloadsOf(objects).find((workload) => isHubContainer(containerOf(workload)))
  const config = hub && configOf(environmentOf(objects, containerOf(hub)), true)
  if (!config || config instanceof ConfigError) return []
  const faults = ofKind(objects, 'Ingress').flatMap(({ metadata }) => {
    const of = (name: string) => metadata.annotations?.[`${NGINX}${name}`]
    const found = ['proxy-read-timeout', 'proxy-send-timeout']
      .filter((name) => !(Number(of(name)) * 1000 > config.PING_INTERVAL_MS))
      .map((name) => `${name} cuts off who is silent`)
    if (of('proxy-buffering') !== 'off') found.push('proxy-buffering holds streams back')
    if (of('proxy-body-size') !== '1m') found.push('proxy-body-size is not that of the hub')
    return found.map((fault) => `Ingress ${metadata.name}: ${fault}`)
  })
  const isTrusted = (address: string) => config.TRUSTED_PROXIES.some((cidr) => isWithin(address, cidr))
  faults.push(...POD_ADDRESSES.filter((address) => !isTrusted(address)).map((address) => `an ingress at ${address} is not trusted`))
  if (isTrusted('203.0.113.7')) faults.push('everyone is trusted as an ingress')
  return faults
}

/** How many pods of a workload there are at least, as far as the manifests say it; KEDA may leave none. */
function fewestOf(objects: readonly KubeObject[], { metadata, spec }: Workload): number | undefined {
  const scaler = ofKind<Scaler>(objects, 'HorizontalPodAutoscaler').find((one) => one.spec.scaleTargetRef.name === metadata.name)
  return spec.replicas ?? scaler?.spec.minReplicas
}

function budgets(objects: readonly KubeObject[]): string[] {
  const all = ofKind<Budget>(objects, 'PodDisruptionBudget')
  const faults = workloadsOf(objects)
    .filter((workload) => (fewestOf(objects, workload) ?? 0) > 1)
    .filter(({ spec }) => !all.some((one) => isSelected(one.spec.selector.matchLabels, spec.template.metadata.labels)))
    .map(({ metadata }) => `${metadata.name} has no budget: all of it may be evicted at once`)
  for (const { metadata, spec } of all) {
    const fewest = selectedBy(objects, spec.selector.matchLabels).map((workload) => fewestOf(objects, workload) ?? Number.POSITIVE_INFINITY)
    const { maxUnavailable = 0 } = spec
    if (maxUnavailable < 1) faults.push(`PodDisruptionBudget ${metadata.name} lets no machine be drained`)
    if (fewest.some((count) => maxUnavailable >= count)) faults.push(`PodDisruptionBudget ${metadata.name} lets all be evicted at once`)
    // Else a pod that never gets ready keeps its machine for ever.
    if (spec.unhealthyPodEvictionPolicy !== 'AlwaysAllow')
      faults.push(`PodDisruptionBudget ${metadata.name} holds back pods that do not work`)
  }
  return faults
}

function scalers(objects: readonly KubeObject[]): string[] {
  return ofKind<Scaler>(objects, 'HorizontalPodAutoscaler')
    .filter(({ spec }) => !(spec.minReplicas !== undefined && spec.minReplicas >= 2 && spec.maxReplicas > spec.minReplicas))
    .map(
      ({ metadata, spec }) =>
        `${metadata.name} may be ${spec.minReplicas} to ${spec.maxReplicas}: one that dies is all, or no more than at rest`,
    )
}
