import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { parse } from 'yaml'
import { containerOf, isOurs, type KubeObject, servicesOf, workloadsOf } from '../deploy/objects.js'
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
  .filter((file) => file.endsWith('kustomization.yaml') && !file.startsWith('.'))
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

const PAGE = readFileSync(join(ROOT, 'docs/operate/kubernetes.md'), 'utf8')

/** The lines that a document shows to be typed, those that go on in the next one joined. */
function commandsOf(document: string): string[] {
  const blocks = [...document.matchAll(/^```sh\n(.*?)^```/gms)].map(([, block = '']) => block)
  return blocks.flatMap((block) => block.replaceAll('\\\n', ' ').split('\n'))
}

/** What a pattern finds in each line that it fits: its groups. */
function found(lines: readonly string[], pattern: RegExp): string[][] {
  return lines.flatMap((line) => [...line.matchAll(pattern)].map(([, ...groups]) => groups))
}

t.test('the documented commands fit the manifests and the image', async (t) => {
  const section = PAGE.match(/^## Start$(.*?)^## /ms)?.[1] ?? ''
  const lines = commandsOf(section)
  t.ok(lines.length > 8)
  const order = [/docker build/, /apply -f/, /create secret/, /apply -k/, / wait /, / exec /, /port-forward/, /curl .*-d /, /curl -N/]
  const places = order.map((pattern) => lines.findIndex((line) => pattern.test(line)))
  t.same(
    places,
    [...places].toSorted((a, b) => a - b),
  )
  t.notOk(places.includes(-1), `each step: ${places}`)

  const [image] = kustomization('base').images ?? []
  t.same(found(lines, /docker build -t (\S+) \.$/g), [[`${image?.name}:${image?.newTag}`]])
  const [[namespaceFile = ''] = []] = found(lines, /kubectl apply -f (\S+)/g)
  t.match(objectsOf(readFileSync(join(ROOT, namespaceFile), 'utf8')), [{ kind: 'Namespace', metadata: { name: 'runcast' } }])
  for (const [folder = ''] of found(lines, /apply -k (\S+)/g)) t.ok(existsSync(join(ROOT, folder, 'kustomization.yaml')), folder)

  // `exec` runs beside the entry point of the image, so it names the program itself.
  const entry: string[] = JSON.parse(readFileSync(join(ROOT, 'Dockerfile'), 'utf8').match(/^ENTRYPOINT (.*)$/m)?.[1] ?? '[]')
  t.same(found(lines, /exec deployment\/(\S+) -- (.*) token alice/g), [['runcast-hub', entry.slice(-2).join(' ')]])
  const [[service = '', port = ''] = []] = found(lines, /port-forward service\/(\S+) (\d+)/g)
  const ports = servicesOf(base)
    .find(({ metadata }) => metadata.name === service)
    ?.spec.ports.map((one) => `${one.port}`)
  t.ok(ports?.includes(port), `${service}:${port}`)
  for (const [asked] of found(lines, /http:\/\/127\.0\.0\.1:(\d+)/g)) t.equal(asked, port)
  const [[submitted] = [], ...others] = found(lines, /"run_id":"([^"]+)"/g)
  t.same(others, [])
  t.same(found(lines, /runs\/([^/]+)\/events/g), [[submitted]])
})

t.test('what the documents do with kubectl is there, in the namespace, and secrets have the names and files that pods mount', async (t) => {
  const lines = commandsOf(PAGE).filter((line) => line.includes('kubectl'))
  const all = [...base, ...objectsIn('overlays/single')]
  for (const [namespace] of found(lines, /-n (\S+)/g)) t.equal(namespace, 'runcast')
  for (const [kind, name] of found(lines, /\b(deployment|service)\/(\S+)/g))
    t.ok(
      all.some((one) => one.kind.toLowerCase() === kind && one.metadata.name === name),
      `${kind}/${name}`,
    )
  const files = found(lines, /create secret generic (\S+) --from-file=([^=]+)=/g)
  t.ok(files.length >= 3)
  const patches = readFileSync(join(K8S, 'overlays/external-redis/kustomization.yaml'), 'utf8')
  const hub = workloadsOf(base).find(({ metadata }) => metadata.name === 'runcast-hub')
  const { volumes = [], containers = [] } = hub?.spec.template.spec ?? {}
  for (const [secret, key] of files) {
    if (secret === 'runcast-redis') {
      t.match(patches, `secretName: ${secret}`)
      t.match(patches, `REDIS_URL_FILE=${patches.match(/mountPath: (\S+)/)?.[1]}/${key}\n`)
      continue
    }
    const volume = volumes.find((one) => one.secret?.secretName === secret)
    const mount = containers[0]?.volumeMounts?.find(({ name }) => name === volume?.name)
    const file = containers[0]?.env?.find(({ name }) => name === 'JWT_SECRET_FILE')?.value
    t.equal(`${mount?.mountPath}/${key}`, file, `${secret}: ${key}`)
  }
})

t.test('KEDA is asked for in a version that finds a metric by two labels', async (t) => {
  const component = readFileSync(join(K8S, 'components/keda/kustomization.yaml'), 'utf8')
  const versions = [component, PAGE].map((text) => found([text], /KEDA\S* (\d+)\.(\d+) or later/g))
  // Formats other than JSON came with 2.14, a second label with 2.16.
  for (const stated of versions) t.same(stated, [['2', '16']])
})

const ALERTS = join(ROOT, 'deploy/prometheus/alerts.yml')

t.test('the alerts of the Prometheus operator are those of Prometheus', async (t) => {
  const rule: { spec: object } = parse(readFileSync(join(K8S, 'components/monitoring/prometheus-rule.yaml'), 'utf8'))
  t.same(rule.spec, parse(readFileSync(ALERTS, 'utf8')), 'else: npm run docs')
  t.ok(kustomization('components/monitoring').resources?.includes('prometheus-rule.yaml'))
})

t.test('the rules find what is wrong here too', async (t) => {
  const wrong: KubeObject[] = [
    ...base,
    { ...map, data: { ...settingsFile(), REDIS_URL: 'redis://redis.example', DRAIN_MS: '60000', DRAIN: '1' } },
  ]
  t.match(settings(wrong), [/DRAIN is no setting/])
  t.match(stops(wrong), [/runcast-hub is killed/])
})
