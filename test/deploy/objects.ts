/** An object of Kubernetes as it is applied. What its kind has beside this is found by the functions below, after the schemas have been asked. */
export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Labels; readonly annotations?: Labels }
  readonly spec?: unknown
  readonly data?: Readonly<Record<string, string>>
}

export type Labels = Readonly<Record<string, string>>

export interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string | number }
  readonly tcpSocket?: { readonly port: string | number }
  readonly exec?: { readonly command: readonly string[] }
  readonly periodSeconds?: number
  readonly timeoutSeconds?: number
  readonly failureThreshold?: number
}

export interface Container {
  readonly name: string
  readonly image: string
  readonly command?: readonly string[]
  readonly args?: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly envFrom?: readonly { readonly configMapRef?: { readonly name: string } }[]
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number }[]
  readonly startupProbe?: Probe
  readonly readinessProbe?: Probe
  readonly livenessProbe?: Probe
  readonly lifecycle?: { readonly preStop?: { readonly sleep?: { readonly seconds: number } } }
  readonly resources?: { readonly requests?: Labels; readonly limits?: Labels }
  readonly securityContext?: SecurityContext
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[]
}

export interface SecurityContext {
  readonly runAsNonRoot?: boolean
  readonly runAsUser?: number
  readonly runAsGroup?: number
  readonly fsGroup?: number
  readonly seccompProfile?: { readonly type: string }
  readonly allowPrivilegeEscalation?: boolean
  readonly readOnlyRootFilesystem?: boolean
  readonly privileged?: boolean
  readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] }
}

export interface PodSpec {
  readonly serviceAccountName?: string
  readonly automountServiceAccountToken?: boolean
  readonly hostNetwork?: boolean
  readonly hostPID?: boolean
  readonly hostIPC?: boolean
  readonly terminationGracePeriodSeconds?: number
  readonly securityContext?: SecurityContext
  readonly topologySpreadConstraints?: readonly Spread[]
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes?: readonly Volume[]
}

export interface Spread {
  readonly topologyKey: string
  readonly whenUnsatisfiable: string
  readonly labelSelector: LabelSelector
}

export interface Volume {
  readonly name: string
  readonly secret?: { readonly secretName: string; readonly defaultMode?: number }
  readonly emptyDir?: object
  readonly configMap?: { readonly name: string }
}

export interface LabelSelector {
  readonly matchLabels?: Labels
}

/** A Deployment or a StatefulSet: what makes pods. */
export interface Workload extends KubeObject {
  readonly spec: {
    readonly replicas?: number
    readonly selector: LabelSelector
    readonly strategy?: { readonly rollingUpdate?: { readonly maxSurge?: number; readonly maxUnavailable?: number } }
    readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec }
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
  }
}

export interface Service extends KubeObject {
  readonly spec: {
    readonly selector: Labels
    readonly ports: readonly { readonly name: string; readonly port: number; readonly targetPort: string | number }[]
  }
}

/** The objects of a kind. `S`: its spec, as the schema of the kind has it. */
export function ofKind<S>(objects: readonly KubeObject[], kind: string): (KubeObject & { readonly spec: S })[] {
  return objects.filter((object) => object.kind === kind) as (KubeObject & { readonly spec: S })[] // by the schema of the kind
}

export function workloadsOf(objects: readonly KubeObject[]): Workload[] {
  return [...ofKind<Workload['spec']>(objects, 'Deployment'), ...ofKind<Workload['spec']>(objects, 'StatefulSet')]
}

export function servicesOf(objects: readonly KubeObject[]): Service[] {
  return ofKind<Service['spec']>(objects, 'Service')
}

/** The workload of this name. Throws where there is none. */
export function workloadNamed(objects: readonly KubeObject[], name: string): Workload {
  const found = workloadsOf(objects).find(({ metadata }) => metadata.name === name)
  if (!found) throw new Error(`there is no workload ${name}`)
  return found
}

/** The only container of a workload's pods. */
export function containerOf(workload: Workload): Container {
  const [container, ...others] = workload.spec.template.spec.containers
  if (!container || others.length > 0) throw new Error(`${workload.metadata.name} has not one container`)
  return container
}

/** True for a container of our own image. */
export function isOurs({ image }: Container): boolean {
  return /^(?:.*\/)?runcast(?::|@|$)/.test(image)
}

/** The environment of a container, with what comes from config maps; `env` is stronger, as in Kubernetes. */
export function environmentOf(objects: readonly KubeObject[], container: Container): Record<string, string> {
  const maps = (container.envFrom ?? []).map(({ configMapRef }) => {
    const map = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === configMapRef?.name)
    return map?.data ?? {}
  })
  const own = Object.fromEntries((container.env ?? []).map(({ name, value }) => [name, value ?? '']))
  return Object.assign({}, ...maps, own)
}

export function isSelected(selector: Labels | undefined, labels: Labels | undefined): boolean {
  return Object.entries(selector ?? {}).every(([name, value]) => labels?.[name] === value)
}

/** The workloads whose pods a selector finds. */
export function selectedBy(objects: readonly KubeObject[], selector: Labels | undefined): Workload[] {
  return workloadsOf(objects).filter(({ spec }) => isSelected(selector, spec.template.metadata.labels))
}

/** Number of a port of a container, by its name or as it is; undefined: it has none of this name. */
export function portOf(container: Container, port: string | number): number | undefined {
  if (typeof port === 'number') return port
  return container.ports?.find(({ name }) => name === port)?.containerPort
}
