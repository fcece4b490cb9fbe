import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { ROOT } from './shell.js'

/** A service as it would be started: what runs, with which environment, and how long it may take to end. */
export interface Service {
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly graceMs: number
  readonly stopSignal: NodeJS.Signals
}

interface Written {
  readonly image: string
  readonly entrypoint?: readonly string[]
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly stop_grace_period?: string
  readonly stop_signal?: NodeJS.Signals
}

/** The services of docker-compose.yml, those of the image with what its Dockerfile says. */
export function composeServices(): ReadonlyMap<string, Service> {
  const { services } = parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }) as {
    services: Record<string, Written>
  }
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  const [, entrypoint = '[]'] = /^ENTRYPOINT (.*)$/m.exec(dockerfile) ?? []
  const [, env = ''] = /^ENV (.*)$/m.exec(dockerfile) ?? []
  const image = {
    entrypoint: JSON.parse(entrypoint) as string[], // an exec form is a list of texts
    env: Object.fromEntries([...env.matchAll(/(\w+)=(\S+)/g)].map(([, name = '', value = '']) => [name, value])),
  }
  return new Map(Object.entries(services).map(([name, written]) => [name, serviceOf(written, image)]))
}

function serviceOf(
  written: Written,
  image: { readonly entrypoint: readonly string[]; readonly env: Readonly<Record<string, string>> },
): Service {
  const isOurs = written.image.includes('RUNCAST_IMAGE')
  const { entrypoint = isOurs ? image.entrypoint : [], command = [], environment = {} } = written
  return {
    command: [...entrypoint, ...command],
    env: isOurs ? { ...image.env, ...mapped(environment) } : mapped(environment),
    graceMs: Number.parseInt(written.stop_grace_period ?? '10s', 10) * 1000,
    stopSignal: written.stop_signal ?? 'SIGTERM',
  }
}

/** With the defaults of variables: `${NAME:-default}`. */
function mapped(environment: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, value.replace(/\$\{\w+:-([^}]*)\}/g, '$1')]))
}
