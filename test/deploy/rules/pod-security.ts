import { type KubeObject, ofKind, type Workload, workloadsOf } from '../objects.js'

const VOLUMES = ['name', 'configMap', 'emptyDir', 'secret', 'projected', 'downwardAPI', 'csi', 'ephemeral', 'persistentVolumeClaim']

/** Where pods ask for more than the Pod Security Standard "restricted" gives, or than ours need: a read-only root file system, no token. */
export function podSecurity(objects: readonly KubeObject[]): string[] {
  const accounts = objects.filter(({ kind }) => kind === 'ServiceAccount') as (KubeObject & { automountServiceAccountToken?: boolean })[]
  const namespaces = ofKind(objects, 'Namespace')
  return [
    ...accounts
      .filter((account) => account.automountServiceAccountToken !== false)
      .map(({ metadata }) => `${metadata.name} gives its token away`),
    ...namespaces
      .filter(({ metadata }) => metadata.labels?.['pod-security.kubernetes.io/enforce'] !== 'restricted')
      .map(({ metadata }) => `namespace ${metadata.name} does not enforce restricted`),
    ...workloadsOf(objects).flatMap((workload) =>
      faultsOf(workload, new Set(accounts.map(({ metadata }) => metadata.name))).map((fault) => `${workload.metadata.name}: ${fault}`),
    ),
  ]
}

function faultsOf({ spec }: Workload, accounts: ReadonlySet<string>): string[] {
  const pod = spec.template.spec
  const own = pod.securityContext ?? {}
  const wrong: [fault: string, is: boolean][] = [
    ['has a token', pod.automountServiceAccountToken !== false],
    ['has no account of its own', !accounts.has(pod.serviceAccountName ?? '')],
    ['uses the host', Boolean(pod.hostNetwork || pod.hostPID || pod.hostIPC)],
    ['may run as root', own.runAsNonRoot !== true || !own.runAsUser],
    ['has no seccomp profile', own.seccompProfile?.type !== 'RuntimeDefault'],
    ['has volumes of the host', (pod.volumes ?? []).some((volume) => !Object.keys(volume).every((key) => VOLUMES.includes(key)))],
  ]
  for (const { name, securityContext = {}, resources } of [...(pod.initContainers ?? []), ...pod.containers]) {
    const { capabilities } = securityContext
    wrong.push(
      [`${name} may gain privileges`, securityContext.allowPrivilegeEscalation !== false || securityContext.privileged === true],
      [`${name} keeps capabilities`, capabilities?.drop?.includes('ALL') !== true || (capabilities.add ?? []).length > 0],
      [`${name} may write to its root`, securityContext.readOnlyRootFilesystem !== true],
      [`${name} becomes another user`, securityContext.runAsUser === 0 || securityContext.runAsNonRoot === false],
      [
        `${name} has no requests or no limit of memory`,
        !resources?.requests?.cpu || !resources.requests.memory || !resources.limits?.memory,
      ],
    )
  }
  return wrong.filter(([, is]) => is).map(([fault]) => fault)
}
