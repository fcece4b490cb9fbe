import { readFileSync } from 'node:fs'

type Environment = Readonly<Record<string, string | undefined>>

/** Settings whose value may lie in a file, as secrets of containers do: the file's setting has the same name with `_FILE` behind it. */
const NAMES = ['REDIS_URL', 'JWT_SECRET'] as const

/** An environment in which the values are there that files hold, and what is wrong with the files, one line each. */
export interface ReadSecrets {
  readonly env: Environment
  readonly faults: readonly string[]
  /** What a fault of a setting is told of: the file's setting where the value came from a file. */
  readonly sourceOf: (name: string) => string
}

/** Reads the files that `REDIS_URL_FILE` and `JWT_SECRET_FILE` name. White space around the content does not count. Never throws; no fault repeats what a file holds. */
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
