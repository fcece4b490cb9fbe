import { readFileSync } from 'node:fs'

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Settings whose value may be in a file, as secrets of containers are. The setting for the file has the suffix `_FILE`.
 */
const NAMES = ['REDIS_URL', 'JWT_SECRET'] as const

/** An environment with the values from files, and the faults of the files, one line each. */
export interface ReadSecrets {
  readonly env: Environment
  readonly faults: readonly string[]
  /** The setting to name in a fault: the one for the file if the value came from a file. */
  readonly sourceOf: (name: string) => string
}

/**
 * Reads the files named by `REDIS_URL_FILE` and `JWT_SECRET_FILE`. White space around the content is ignored. Never
 * throws. No fault contains the content of a file.
 */
export function readSecretFiles(env: Environment): ReadSecrets {
  const faults: string[] = []
  const read: Record<string, string> = {}
  for (const name of NAMES) {
    const source = `${name}_FILE`
    const path = env[source]
    if (!path) continue
    if (env[name]) faults.push(`${source}: expected not to be set, since ${name} is`)
    else {
      const content = contentOf(path)
      if (content === undefined) faults.push(`${source}: expected the path of a file that can be read`)
      else if (content === '') faults.push(`${source}: expected a file that is not empty`)
      else read[name] = content
    }
  }
  return { env: { ...env, ...read }, faults, sourceOf: (name) => (name in read ? `${name}_FILE` : name) }
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}
