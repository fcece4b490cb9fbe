import { BUILT_IN } from '../../support/kinds.js'
import { containerOf, environmentOf, type KubeObject, ofKind, servicesOf, workloadNamed } from '../objects.js'

interface ScaledSpec {
  readonly scaleTargetRef: { readonly name: string }
  readonly advanced: { readonly scalingModifiers: { readonly formula: string; readonly target: string } }
  readonly triggers: readonly { readonly name: string; readonly metadata: { readonly url: string; readonly valueLocation: string } }[]
}

/** Autoscalers of workers that ask where nobody answers, look at other queues than their workers take from, or count on more jobs at a time than a worker computes. */
export function queues(objects: readonly KubeObject[]): string[] {
  return ofKind<ScaledSpec>(objects, 'ScaledObject').flatMap(({ metadata, spec }) => {
    const env = environmentOf(objects, containerOf(workloadNamed(objects, spec.scaleTargetRef.name)))
    const kinds = (env.WORKER_KINDS ?? '').split(',').toSorted()
    const faults: string[] = []
    const watched = new Set<string>()
    for (const { name, metadata: trigger } of spec.triggers) {
      const { hostname, port, pathname } = new URL(trigger.url)
      const service = servicesOf(objects).find((one) => hostname === `${one.metadata.name}.${one.metadata.namespace}.svc`)
      const isServed = service?.spec.ports.some((one) => `${one.port}` === port) && port === env.METRICS_PORT
      if (!isServed || pathname !== '/metrics') faults.push(`${name} asks at ${trigger.url}`)
      const [, queue = '', state = ''] =
        trigger.valueLocation.match(/^runcast_queue_jobs\{queue="([^"]+)",state="(waiting|active)"\}$/) ?? []
      if (name !== `${queue}_${state}` || !BUILT_IN.find(queue)) faults.push(`${name} is not ${trigger.valueLocation}`)
      watched.add(queue)
    }
    if ([...watched].toSorted().join() !== kinds.join()) faults.push(`looks at ${[...watched]}, computes ${kinds}`)
    // Without what is being computed, a busy worker would be one too many.
    const names = spec.triggers.map(({ name }) => name).toSorted()
    const used = spec.advanced.scalingModifiers.formula.match(/[a-z_]+/g) ?? []
    const wanted = [...watched].flatMap((queue) => [`${queue}_active`, `${queue}_waiting`]).toSorted()
    if (wanted.join() !== names.join() || used.toSorted().join() !== names.join()) faults.push(`computes with ${used}`)
    const concurrency = kinds.includes('run') ? env.WORKER_CONCURRENCY : env.BENCHMARK_CONCURRENCY
    if (spec.advanced.scalingModifiers.target !== concurrency) faults.push(`a worker computes ${concurrency} at a time`)
    return faults.map((fault) => `${metadata.name}: ${fault}`)
  })
}
