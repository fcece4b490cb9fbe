import {
  containerOf,
  isSelected,
  type KubeObject,
  type LabelSelector,
  ofKind,
  portOf,
  selectedBy,
  servicesOf,
  workloadsOf,
} from '../objects.js'

/** Secrets that the user creates, by the documents. */
const SECRETS = ['runcast-jwt', 'runcast-redis', 'runcast-s3']

interface IngressSpec {
  readonly rules: readonly {
    readonly http: {
      readonly paths: readonly {
        readonly backend: { readonly service: { readonly name: string; readonly port: { readonly name: string } } }
      }[]
    }
  }[]
}

interface Scaler {
  readonly scaleTargetRef: { readonly name: string }
}

/** What names something that is not there: pods by their labels, ports by their names, config maps, services, what is scaled. */
export function references(objects: readonly KubeObject[]): string[] {
  return [...selectors(objects), ...pods(objects), ...services(objects), ...scalers(objects), ...twice(objects)]
}

function selectors(objects: readonly KubeObject[]): string[] {
  const faults = workloadsOf(objects)
    .filter(({ spec }) => !isSelected(spec.selector.matchLabels, spec.template.metadata.labels) || !spec.selector.matchLabels)
    .map(({ metadata }) => `${metadata.name} does not select its own pods`)
  for (const workload of workloadsOf(objects)) {
    const [first, ...others] = selectedBy(objects, workload.spec.selector.matchLabels)
    if (first !== workload || others.length > 0) faults.push(`${workload.metadata.name} selects pods of others`)
    for (const { labelSelector } of workload.spec.template.spec.topologySpreadConstraints ?? [])
      if (!isSelected(labelSelector.matchLabels, workload.spec.template.metadata.labels))
        faults.push(`${workload.metadata.name} spreads other pods`)
  }
  const selecting = [
    ...ofKind<{ selector: LabelSelector }>(objects, 'PodDisruptionBudget').map((one) => [one, one.spec.selector] as const),
    ...ofKind<{ selector: LabelSelector }>(objects, 'PodMonitor').map((one) => [one, one.spec.selector] as const),
    ...ofKind<{ podSelector: LabelSelector }>(objects, 'NetworkPolicy').map((one) => [one, one.spec.podSelector] as const),
    ...servicesOf(objects).map((one) => [one, { matchLabels: one.spec.selector }] as const),
  ]
  for (const [{ kind, metadata }, { matchLabels }] of selecting)
    if (selectedBy(objects, matchLabels).length === 0) faults.push(`${kind} ${metadata.name} selects nothing`)
  return faults
}

function pods(objects: readonly KubeObject[]): string[] {
  const maps = objects.filter(({ kind }) => kind === 'ConfigMap').map(({ metadata }) => metadata.name)
  return workloadsOf(objects).flatMap(({ metadata, spec }) => {
    const { volumes = [], containers } = spec.template.spec
    const places = [...volumes, ...(spec.volumeClaimTemplates ?? []).map((claim) => claim.metadata)].map(({ name }) => name)
    const secrets = volumes.flatMap(({ secret }) => (secret ? [secret.secretName] : []))
    const faults = secrets.filter((name) => !SECRETS.includes(name)).map((name) => `no secret ${name}`)
    for (const container of containers) {
      for (const { configMapRef } of container.envFrom ?? [])
        if (!maps.includes(configMapRef?.name ?? '')) faults.push(`no config map ${configMapRef?.name}`)
      for (const { name } of container.volumeMounts ?? []) if (!places.includes(name)) faults.push(`no volume ${name}`)
      for (const probe of ['startupProbe', 'readinessProbe', 'livenessProbe'] as const) {
        const port = container[probe]?.httpGet?.port ?? container[probe]?.tcpSocket?.port
        if (!container[probe]) faults.push(`no ${probe}`)
        else if (port !== undefined && portOf(container, port) === undefined) faults.push(`${probe}: no port ${port}`)
      }
    }
    return faults.map((fault) => `${metadata.name}: ${fault}`)
  })
}

function services(objects: readonly KubeObject[]): string[] {
  const faults = servicesOf(objects).flatMap(({ metadata, spec }) =>
    selectedBy(objects, spec.selector).flatMap((workload) =>
      spec.ports
        .filter(({ targetPort }) => portOf(containerOf(workload), targetPort) === undefined)
        .map(({ targetPort }) => `Service ${metadata.name}: ${workload.metadata.name} has no port ${targetPort}`),
    ),
  )
  for (const { metadata, spec } of ofKind<IngressSpec>(objects, 'Ingress'))
    for (const { backend } of spec.rules.flatMap(({ http }) => http.paths)) {
      const service = servicesOf(objects).find((one) => one.metadata.name === backend.service.name)
      if (!service?.spec.ports.some(({ name }) => name === backend.service.port.name)) faults.push(`Ingress ${metadata.name} leads nowhere`)
    }
  for (const { metadata, spec } of ofKind<{ selector: LabelSelector; podMetricsEndpoints: { port: string }[] }>(objects, 'PodMonitor'))
    for (const workload of selectedBy(objects, spec.selector.matchLabels))
      for (const { port } of spec.podMetricsEndpoints)
        if (portOf(containerOf(workload), port) === undefined)
          faults.push(`PodMonitor ${metadata.name}: ${workload.metadata.name} has no port ${port}`)
  return faults
}

/** Nothing has both a number of replicas and somebody who decides it. */
function scalers(objects: readonly KubeObject[]): string[] {
  const all = [...ofKind<Scaler>(objects, 'HorizontalPodAutoscaler'), ...ofKind<Scaler>(objects, 'ScaledObject')]
  const scaled = all.map(({ spec }) => spec.scaleTargetRef.name)
  const faults = scaled.filter((name, i) => scaled.indexOf(name) !== i).map((name) => `${name} is scaled twice`)
  const names = workloadsOf(objects).map(({ metadata }) => metadata.name)
  faults.push(...scaled.filter((name) => !names.includes(name)).map((name) => `nothing to scale: ${name}`))
  for (const { metadata, spec } of workloadsOf(objects))
    if (scaled.includes(metadata.name) !== (spec.replicas === undefined))
      faults.push(`${metadata.name}: replicas and autoscaler, or none of them`)
  return faults
}

function twice(objects: readonly KubeObject[]): string[] {
  const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
  const faults = names.filter((name, i) => names.indexOf(name) !== i).map((name) => `${name} is there twice`)
  const away = objects.filter(({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace !== 'runcast')
  return [...faults, ...away.map(({ kind, metadata }) => `${kind} ${metadata.name} is not in the namespace`)]
}
