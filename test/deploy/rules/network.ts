import {
  type Container,
  containerOf,
  isSelected,
  type KubeObject,
  type LabelSelector,
  type Labels,
  ofKind,
  portOf,
  type Workload,
  workloadsOf,
} from '../objects.js'

interface Peer {
  readonly podSelector?: LabelSelector
  readonly namespaceSelector?: LabelSelector
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] }
}

interface Rule {
  readonly from?: readonly Peer[]
  readonly to?: readonly Peer[]
  readonly ports?: readonly { readonly port: string | number; readonly protocol?: string }[]
}

interface PolicySpec {
  readonly podSelector: LabelSelector
  readonly policyTypes: readonly string[]
  readonly ingress?: readonly Rule[]
  readonly egress?: readonly Rule[]
}

/** Who is at the other end: a pod of ours, any pod of another namespace, or an address outside. */
export type End = { readonly pod: Labels } | { readonly namespace: string } | { readonly address: string }

/** Whether the policies let these pods be reached from there (or reach it) on a port. As in Kubernetes: who is selected by no policy of a direction may do all. */
export function mayPass(objects: readonly KubeObject[], direction: 'Ingress' | 'Egress', own: Workload, other: End, port: number): boolean {
  const policies = ofKind<PolicySpec>(objects, 'NetworkPolicy').filter(
    ({ spec }) => spec.policyTypes.includes(direction) && isSelected(spec.podSelector.matchLabels, own.spec.template.metadata.labels),
  )
  if (policies.length === 0) return true
  // The names of ports are those of the pod that is reached.
  const reached = direction === 'Ingress' ? containerOf(own) : reachedBy(objects, other)
  const rules = policies.flatMap(({ spec }) => (direction === 'Ingress' ? spec.ingress : spec.egress) ?? [])
  return rules.some(({ from, to, ports }) => {
    const peers = direction === 'Ingress' ? from : to
    const isPort = ports === undefined || ports.some((one) => (reached ? portOf(reached, one.port) : one.port) === port)
    return isPort && (peers === undefined || peers.some((peer) => isPeer(peer, other)))
  })
}

function reachedBy(objects: readonly KubeObject[], other: End): Container | undefined {
  if (!('pod' in other)) return undefined
  const workload = workloadsOf(objects).find(({ spec }) => spec.template.metadata.labels === other.pod)
  return workload && containerOf(workload)
}

function isPeer({ podSelector, namespaceSelector, ipBlock }: Peer, other: End): boolean {
  if ('address' in other)
    return ipBlock !== undefined && isWithin(other.address, ipBlock.cidr) && !ipBlock.except?.some((cidr) => isWithin(other.address, cidr))
  // An address of a pod is not to be known beforehand; a block that has all addresses has it too.
  if (ipBlock) return ipBlock.cidr === '0.0.0.0/0' && ipBlock.except === undefined
  if ('namespace' in other)
    return namespaceSelector !== undefined && isSelected(namespaceSelector.matchLabels, { 'kubernetes.io/metadata.name': other.namespace })
  return namespaceSelector === undefined && podSelector !== undefined && isSelected(podSelector.matchLabels, other.pod)
}

/** Whether an IPv4 address is one of a network, written as `10.0.0.0/8`. */
export function isWithin(address: string, cidr: string): boolean {
  const [base = '', bits = '32'] = cidr.split('/')
  const number = (text: string) => text.split('.').reduce((sum, byte) => sum * 256 + Number(byte), 0)
  const size = 2 ** (32 - Number(bits))
  return Math.floor(number(address) / size) === Math.floor(number(base) / size)
}

/** What the policies forbid and must not, or allow and must not. */
export function network(objects: readonly KubeObject[]): string[] {
  const faults: string[] = []
  const all = workloadsOf(objects)
  const denies = ofKind<PolicySpec>(objects, 'NetworkPolicy').some(
    ({ spec }) => !spec.podSelector.matchLabels && spec.policyTypes.length === 2 && !spec.ingress && !spec.egress,
  )
  if (!denies) faults.push('default-deny does not deny by default')
  const expect = (isAllowed: boolean, direction: 'Ingress' | 'Egress', own: Workload, other: End, port: number) => {
    if (mayPass(objects, direction, own, other, port) === isAllowed) return
    const what = Object.values(other).map((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
    faults.push(`${own.metadata.name}: ${direction} ${what}:${port} is ${isAllowed ? 'forbidden' : 'allowed'}`)
  }
  const isScaled = ofKind(objects, 'ScaledObject').length > 0
  const redis = all.find(({ metadata }) => metadata.name === 'runcast-redis')
  for (const workload of all) {
    const name = workload.metadata.name
    expect(true, 'Egress', workload, { namespace: 'kube-system' }, 53)
    expect(name === 'runcast-benchmark', 'Egress', workload, { address: '203.0.113.7' }, 443)
    for (const address of ['169.254.169.254', '10.0.0.1']) expect(false, 'Egress', workload, { address }, 443)
    expect(false, 'Ingress', workload, { namespace: 'elsewhere' }, 8501)
    expect(false, 'Ingress', workload, { namespace: 'elsewhere' }, 9501)
    expect(name === 'runcast-hub', 'Ingress', workload, { namespace: 'ingress-nginx' }, 8501)
    expect(false, 'Ingress', workload, { namespace: 'ingress-nginx' }, 9501)
    expect(workload !== redis, 'Ingress', workload, { namespace: 'monitoring' }, 9501)
    expect(isScaled && name === 'runcast-hub', 'Ingress', workload, { namespace: 'keda' }, 9501)
    if (workload === redis) continue
    if (redis) {
      const [from, to] = [{ pod: workload.spec.template.metadata.labels }, { pod: redis.spec.template.metadata.labels }]
      expect(true, 'Egress', workload, to, 6379)
      expect(true, 'Ingress', redis, from, 6379)
      expect(false, 'Egress', workload, { address: '203.0.113.7' }, 6379)
    } else expect(true, 'Egress', workload, { address: '203.0.113.7' }, 6379)
  }
  if (redis) expect(false, 'Ingress', redis, { namespace: 'ingress-nginx' }, 6379)
  return faults
}
