import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import type { KubeObject } from './objects.js'

const execute = promisify(execFile)

export const K8S = fileURLToPath(new URL('../../../deploy/k8s/', import.meta.url))
export const OVERLAYS = ['single', 'external-redis'] as const
export const COMPONENTS = ['keda', 'monitoring', 'artifacts-volume'] as const

/** The ways to render: the first that is there is taken. */
const TOOLS = [
  ['kubectl', 'kustomize'],
  ['kustomize', 'build'],
] as const

/** Renders an overlay, with components, by the real kustomize: one that `npm run test:deploy` has made sure of. */
export async function render(overlay: string, components: readonly string[] = []): Promise<KubeObject[]> {
  if (components.length === 0) return objectsOf(await kustomize(`${K8S}overlays/${overlay}`))
  // JSON is YAML.
  const paths = components.map((component) => `../components/${component}`)
  return renderText(JSON.stringify({ resources: [`../overlays/${overlay}`], components: paths }))
}

/** Renders the overlay that docs/operate/kubernetes.md shows. */
export async function renderDocument(): Promise<KubeObject[]> {
  const text = await readFile(`${K8S}../../docs/operate/kubernetes.md`, 'utf8')
  const [, example] = text.match(/^```yaml\n(resources: .*?)^```/ms) ?? []
  if (example === undefined) throw new Error('docs/operate/kubernetes.md shows no overlay')
  return renderText(example)
}

/** Beside the base, where the paths of an overlay lead: kustomize takes no absolute ones. */
async function renderText(kustomization: string): Promise<KubeObject[]> {
  const folder = await mkdtemp(`${K8S}.test-`)
  try {
    await writeFile(`${folder}/kustomization.yaml`, kustomization)
    return objectsOf(await kustomize(folder))
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The objects of a stream of YAML documents. Throws for what is no YAML, also for a name that stands twice. */
export function objectsOf(text: string): KubeObject[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors[0]) throw document.errors[0]
    return document.toJS() as KubeObject // the schemas say what is wrong with it
  })
}

async function kustomize(folder: string): Promise<string> {
  for (const [program, command] of TOOLS) {
    try {
      return (await execute(program, [command, folder], { maxBuffer: 16 * 2 ** 20 })).stdout
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    }
  }
  throw new Error(`there is none of ${TOOLS.map(([program]) => program).join(', ')}`)
}
