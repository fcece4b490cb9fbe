import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { findRedis } from '../../../src/embedded/find-redis.js'
import { eventually } from '../../support/eventually.js'
import {
  containerOf,
  environmentOf,
  isOurs,
  isSelected,
  type KubeObject,
  ofKind,
  portOf,
  selectedBy,
  servicesOf,
  type Workload,
  workloadNamed,
} from '../objects.js'
import { Deployment } from './deployment.js'
import { type Command, Pod } from './pod.js'
import { ServiceProxy } from './service-proxy.js'

/** What stands for the entry point of the image. */
const ENTRY = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))
/** How late a node of a cluster learns that a pod is ready, or is to end. Seconds at worst; the preStop of the hubs is there for it. */
const PROPAGATION_MS = 1500

export interface ClusterOptions {
  /** Content of the secrets that the user creates: secret → key → value. */
  readonly secrets: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly propagationMs?: number
  /** Settings on top of the manifest's, where a test needs other limits. */
  readonly env?: Readonly<Record<string, string>>
}

/** Addresses of this machine that no other test in this process has. */
let addresses = 0

function nextAddress(): string {
  addresses += 1
  // Of this process, too: several may test at once.
  return `127.${64 + (process.pid % 128)}.${(process.pid >> 7) % 256}.${addresses}`
}

/** A cluster of one machine that runs pods as the manifests say, each at an address of its own in 127/8. What is not as in a cluster: images are this checkout, folders are mapped, and names of services are replaced by their addresses. */
export class Cluster {
  readonly objects: readonly KubeObject[]
  readonly #options: ClusterOptions
  readonly #folder: string
  readonly #redisPath: string
  readonly #addresses = new Map<string, string>()
  readonly #proxies = new Map<string, ServiceProxy>()
  readonly #deployments = new Map<string, Deployment>()

  private constructor(objects: readonly KubeObject[], options: ClusterOptions, folder: string, redisPath: string) {
    this.objects = objects
    this.#options = options
    this.#folder = folder
    this.#redisPath = redisPath
  }

  /** With its secrets and services, and no pods yet. All is ended in the teardown. */
  static async open(t: Test, objects: readonly KubeObject[], options: ClusterOptions): Promise<Cluster> {
    const folder = await mkdtemp(join(tmpdir(), 'runcast-cluster-'))
    const cluster = new Cluster(objects, options, folder, (await findRedis()).path)
    t.teardown(async () => {
      await cluster.#close()
      await rm(folder, { recursive: true, force: true })
    })
    for (const [name, content] of Object.entries(options.secrets)) {
      await mkdir(join(folder, name))
      for (const [key, value] of Object.entries(content)) await writeFile(join(folder, name, key), value)
    }
    for (const service of servicesOf(objects)) {
      const { name } = service.metadata
      const ip = nextAddress()
      cluster.#addresses.set(name, ip)
      const [port] = service.spec.ports
      if (port) cluster.#proxies.set(name, await ServiceProxy.listen(ip, port.port, options.propagationMs ?? PROPAGATION_MS))
    }
    return cluster
  }

  /** `host:port` of a service. */
  address(service: string): string {
    const port = servicesOf(this.objects).find(({ metadata }) => metadata.name === service)?.spec.ports[0]?.port
    return `${this.#addresses.get(service)}:${port}`
  }

  proxy(service: string): ServiceProxy {
    const proxy = this.#proxies.get(service)
    if (!proxy) throw new Error(`there is no service ${service}`)
    return proxy
  }

  /** The deployments that run, by name. */
  get deployments(): ReadonlyMap<string, Deployment> {
    return this.#deployments
  }

  /** Starts the pods of a workload; resolves when all are ready and its services know of them. */
  async apply(name: string): Promise<Deployment> {
    const workload = workloadNamed(this.objects, name)
    await mkdir(join(this.#folder, name), { recursive: true })
    const scalers = ofKind<{ scaleTargetRef: { name: string }; minReplicas: number }>(this.objects, 'HorizontalPodAutoscaler')
    const replicas = workload.spec.replicas ?? scalers.find(({ spec }) => spec.scaleTargetRef.name === name)?.spec.minReplicas ?? 1
    let count = 0
    const makePod = (revision: number, onChange: () => void) => {
      const ip = nextAddress()
      count += 1
      return new Pod({ name: `${name}-${count}`, ip, workload, revision, command: this.#commandOf(workload, ip), onChange })
    }
    const deployment = new Deployment(workload, replicas, makePod, () => this.#publish())
    this.#deployments.set(name, deployment)
    await deployment.roll()
    const services = servicesOf(this.objects).filter(({ spec }) => isSelected(spec.selector, workload.spec.template.metadata.labels))
    await eventually(() => services.every(({ metadata }) => this.proxy(metadata.name).size === replicas), { timeoutMs: 60_000 })
    return deployment
  }

  /** What runs for the container of a pod: its arguments and environment, with the places of this machine. */
  #commandOf(workload: Workload, ip: string): Command {
    const container = containerOf(workload)
    const folders = (container.volumeMounts ?? []).map(({ name, mountPath }): [string, string] => {
      const secret = workload.spec.template.spec.volumes?.find((volume) => volume.name === name)?.secret
      return [mountPath, join(this.#folder, secret?.secretName ?? workload.metadata.name)]
    })
    const here = (text: string) => {
      const [mount, folder] = folders.find(([mount]) => text === mount || text.startsWith(`${mount}/`)) ?? ['', '']
      return mount === '' ? text : `${folder}${text.slice(mount.length)}`
    }
    const args = (container.args ?? []).map(here)
    if (!isOurs(container)) return { file: this.#redisPath, args: [...args, '--bind', ip], env: { PATH: process.env.PATH } }
    const own = Object.entries(environmentOf(this.objects, container)).map(([name, value]) => {
      const resolved = [...this.#addresses].reduce((text, [service, address]) => text.replace(`//${service}:`, `//${address}:`), value)
      return [name, name === 'HOST' ? ip : here(resolved)]
    })
    const env = { PATH: process.env.PATH, NODE_ENV: 'production', ...Object.fromEntries(own), ...this.#options.env }
    return { file: process.execPath, args: [ENTRY, ...args], env }
  }

  /** Tells each service of the pods that are ready now. */
  #publish(): void {
    for (const { metadata, spec } of servicesOf(this.objects)) {
      const target = spec.ports[0]?.targetPort ?? 0
      const endpoints = selectedBy(this.objects, spec.selector).flatMap((workload) =>
        (this.#deployments.get(workload.metadata.name)?.ready ?? []).map(({ options }) => ({
          ip: options.ip,
          port: portOf(containerOf(workload), target) ?? 0,
        })),
      )
      this.#proxies.get(metadata.name)?.learn(endpoints)
    }
  }

  async #close(): Promise<void> {
    for (const proxy of this.#proxies.values()) proxy.close()
    const deployments = [...this.#deployments.values()]
    const ended = deployments.map((deployment) => deployment.end())
    for (const pod of deployments.flatMap(({ all }) => all)) pod.crash()
    await Promise.all(ended)
  }
}
