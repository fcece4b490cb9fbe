import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Config, ConfigError, loadConfig, SETTINGS } from '../../../src/config/config.js'
import { type Container, containerOf, environmentOf, isOurs, type KubeObject, portOf, type Workload, workloadsOf } from '../objects.js'

/** What a process waits for at its end, on top of its settings: see main.ts and worker-process.ts. */
const HUB_CLOSE_MS = 10_000
const WORKER_CLOSE_MS = 15_000

/** Where the AWS SDK finds credentials. */
const OF_SDK = 'AWS_SHARED_CREDENTIALS_FILE'

/** What a file of each secret may hold. */
const SECRET_FILES: Readonly<Record<string, string>> = { JWT_SECRET_FILE: 'x'.repeat(32), REDIS_URL_FILE: 'rediss://redis.example:6380' }

function ours(objects: readonly KubeObject[]): [Workload, Container][] {
  return workloadsOf(objects)
    .map((workload): [Workload, Container] => [workload, containerOf(workload)])
    .filter(([, container]) => isOurs(container))
}

/** Environment names that are no settings, settings that a process would not start with, ports that are not those of the settings, and secrets in the open. */
export function settings(objects: readonly KubeObject[]): string[] {
  const faults = ours(objects).flatMap(([{ metadata, spec }, container]) => {
    const env = environmentOf(objects, container)
    const unknown = Object.keys(env).filter((name) => !(name in SETTINGS) && name !== OF_SDK)
    const found = unknown.map((name) => `${name} is no setting`)
    const isHub = isHubContainer(container)
    const config = configOf(env, isHub)
    if (config instanceof ConfigError) return [...found, config.message].map((fault) => `${metadata.name}: ${fault}`)
    if (config.HOST !== '0.0.0.0') found.push('nobody outside the pod reaches it')
    if (portOf(container, 'metrics') !== config.METRICS_PORT) found.push('the port metrics is not METRICS_PORT')
    if (isHub && portOf(container, 'http') !== config.PORT) found.push('the port http is not PORT')
    for (const name of Object.keys(SECRET_FILES)) {
      const path = env[name]
      const mounts = container.volumeMounts ?? []
      const isMounted = mounts.some((mount) => path?.startsWith(`${mount.mountPath}/`) && isSecret(spec.template.spec.volumes, mount.name))
      if (path !== undefined && !isMounted) found.push(`${name} is not in a secret`)
    }
    if (!isHub && JSON.stringify(spec.template.spec).includes('runcast-jwt')) found.push('the key of the tokens is for hubs alone')
    if (env.JWT_SECRET !== undefined || /:\/\/[^/]*@/.test(env.REDIS_URL ?? '')) found.push('a secret is in the open')
    return found.map((fault) => `${metadata.name}: ${fault}`)
  })
  return [...faults, ...objects.filter(({ kind }) => kind === 'Secret').map(({ metadata }) => `Secret ${metadata.name} is in the open`)]
}

/** True for a container of ours that runs a hub. */
export function isHubContainer({ args }: Container): boolean {
  return args?.[0] === 'hub'
}

function isSecret(volumes: Workload['spec']['template']['spec']['volumes'], name: string): boolean {
  return volumes?.some((volume) => volume.name === name && volume.secret !== undefined) ?? false
}

/** The settings as the process would read them, its secrets lying in files. */
export function configOf(env: Readonly<Record<string, string>>, isHub: boolean): Config | ConfigError {
  const folder = mkdtempSync(join(tmpdir(), 'runcast-manifests-'))
  try {
    const files = Object.entries(SECRET_FILES).filter(([name]) => env[name] !== undefined)
    for (const [name, content] of files) writeFileSync(join(folder, name), content)
    return loadConfig({ ...env, ...Object.fromEntries(files.map(([name]) => [name, join(folder, name)])) }, ['REDIS_URL'], isHub)
  } catch (error) {
    if (error instanceof ConfigError) return error
    throw error
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Pods that are killed before they have ended in order, hubs that end before nobody is sent to them any more, and rolls that leave nobody to serve. */
export function stops(objects: readonly KubeObject[]): string[] {
  return ours(objects).flatMap(([{ metadata, spec }, container]) => {
    const isHub = isHubContainer(container)
    const config = configOf(environmentOf(objects, container), isHub)
    if (config instanceof ConfigError) return []
    const preStopMs = (container.lifecycle?.preStop?.sleep?.seconds ?? 0) * 1000
    const ownMs = isHub ? config.DRAIN_MS + HUB_CLOSE_MS : config.WORKER_FINISH_MS + config.CANCEL_GRACE_MS + WORKER_CLOSE_MS
    const graceMs = (spec.template.spec.terminationGracePeriodSeconds ?? 30) * 1000
    const { maxUnavailable, maxSurge = 0 } = spec.strategy?.rollingUpdate ?? {}
    const found: string[] = []
    if (graceMs <= preStopMs + ownMs) found.push(`is killed after ${graceMs} ms, and may need ${preStopMs + ownMs}`)
    if (isHub && preStopMs < 3000) found.push('goes before nobody is sent to it any more')
    if (maxUnavailable !== 0 || maxSurge < 1) found.push('goes before another one is ready')
    if (container.readinessProbe?.httpGet?.path !== '/readyz') found.push('is not asked whether it is ready')
    if (container.livenessProbe?.httpGet?.path !== '/livez') found.push('would be restarted for more than it can mend')
    return found.map((fault) => `${metadata.name} ${fault}`)
  })
}

/** Images that may change under their name. */
export function images(objects: readonly KubeObject[]): string[] {
  return workloadsOf(objects)
    .map((workload) => containerOf(workload).image)
    .filter((image) => !/:[^/:]*\d[^/:]*$/.test(image))
    .map((image) => `${image} has no version`)
}
