import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { containerOf, isOurs, type KubeObject, workloadsOf } from '../deploy/objects.js'
import { objectsOf } from '../deploy/render.js'
import { podSecurity } from '../deploy/rules/pod-security.js'
import { settings, stops } from '../deploy/rules/settings.js'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const K8S = join(ROOT, 'deploy/k8s')

interface Kustomization {
  readonly resources?: readonly string[]
  readonly components?: readonly string[]
  readonly images?: readonly { readonly name: string; readonly newTag: string }[]
}

function kustomization(folder: string): Kustomization {
  return parse(readFileSync(join(K8S, folder, 'kustomization.yaml'), 'utf8'))
}

/** The objects in the files of a folder, as they are before kustomize. */
function objectsIn(folder: string): KubeObject[] {
  const files = (kustomization(folder).resources ?? []).filter((file) => file.endsWith('.yaml'))
  return files.flatMap((file) => objectsOf(readFileSync(join(K8S, folder, file), 'utf8')))
}

/** The settings of all pods, as the generator of the config map reads them. */
function settingsFile(): Record<string, string> {
  const lines = readFileSync(join(K8S, 'base/settings.env'), 'utf8').split('\n')
  return Object.fromEntries(lines.filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.split(/=(.*)/).slice(0, 2)))
}

const FOLDERS = readdirSync(K8S, { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('kustomization.yaml'))
  .map((file) => file.slice(0, -'kustomization.yaml'.length))
const base = objectsIn('base')
const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'runcast-settings' } }

t.test('every file of the manifests is in a kustomization, and every one that it names is there', async (t) => {
  t.ok(FOLDERS.length >= 4)
  for (const folder of FOLDERS) {
    const files = readdirSync(join(K8S, folder)).filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml')
    const named = (kustomization(folder).resources ?? []).filter((file) => !file.startsWith('..'))
    t.same(named.toSorted(), files.toSorted(), folder)
  }
})

const OVERLAYS: Readonly<Record<string, Record<string, string>>> = {
  single: { REDIS_URL: 'redis://runcast-redis:6379' },
  'external-redis': { REDIS_URL: 'redis://redis.example' },
}

for (const [overlay, redis] of Object.entries(OVERLAYS)) {
  const objects: KubeObject[] = [...base, ...objectsIn(`overlays/${overlay}`), { ...map, data: { ...settingsFile(), ...redis } }]

  t.test(`${overlay}: the environment of every pod is settings that a process starts with, and its ports are theirs`, async (t) => {
    t.same(settings(objects), [])
  })

  t.test(`${overlay}: no pod is killed before it has ended in order`, async (t) => {
    t.same(stops(objects), [])
  })

  t.test(`${overlay}: pods are what the standard "restricted" lets in`, async (t) => {
    t.same(podSecurity(objects), [])
  })
}

t.test('our pods run as the user of the image, and the image is of this version', async (t) => {
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  t.same(kustomization('base').images, [{ name: 'runcast', newTag: version }])
  const own = workloadsOf(base).filter((workload) => isOurs(containerOf(workload)))
  t.equal(own.length, 3)
  for (const { spec } of own) t.match(spec.template.spec.securityContext, { runAsUser: 10001, runAsGroup: 10001 })
})

t.test('the rules find what is wrong here too', async (t) => {
  const wrong: KubeObject[] = [
    ...base,
    { ...map, data: { ...settingsFile(), REDIS_URL: 'redis://redis.example', DRAIN_MS: '60000', DRAIN: '1' } },
  ]
  t.match(settings(wrong), [/DRAIN is no setting/])
  t.match(stops(wrong), [/runcast-hub is killed/])
})
