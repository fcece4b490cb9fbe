import { readFileSync } from 'node:fs'
import { Compile } from 'typebox/compile'
import Value from 'typebox/value'
import { describeFaults } from '../protocol/faults.js'
import { LOCAL_PROVIDER, type Provider, ProvidersFile } from './provider.js'

const validator = Compile(ProvidersFile)

/** The providers cannot be used as they are configured. The message has a line per fault and no secret. */
export class ProvidersError extends Error {
  constructor(file: string, faults: readonly string[]) {
    super(`The providers in ${file} (PROVIDERS_FILE) are not valid:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'ProvidersError'
  }
}

/** Reads the providers from a JSON file; none for an empty path. Throws `ProvidersError` with every fault, its path and what is expected there. */
export function loadProviders(path: string): readonly Provider[] {
  if (path === '') return []
  const content: unknown = Value.Default(ProvidersFile, parse(path))
  if (!validator.Check(content)) {
    const faults = describeFaults(validator.Errors(content)).map((fault) => `${fault.path || '/'}: expected ${fault.expected}`)
    throw new ProvidersError(path, faults)
  }
  const faults = namingFaults(content.providers)
  if (faults.length > 0) throw new ProvidersError(path, faults)
  return content.providers
}

/** The keys of providers, by provider, from the environment of the process. Throws `ProvidersError` for each variable that is named and not set. */
export function loadKeys(
  providers: readonly Provider[],
  path: string,
  env: Readonly<Record<string, string | undefined>>,
): ReadonlyMap<string, string> {
  const keys = new Map<string, string>()
  const faults: string[] = []
  for (const [i, { name, api_key_env }] of providers.entries()) {
    if (api_key_env === undefined) continue
    const key = env[api_key_env]
    if (key) keys.set(name, key)
    else faults.push(`/providers/${i}/api_key_env: expected the environment variable ${api_key_env} to be set`)
  }
  if (faults.length > 0) throw new ProvidersError(path, faults)
  return keys
}

function parse(path: string): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw new ProvidersError(path, [`the file cannot be read: ${error instanceof Error && 'code' in error ? error.code : error}`])
  }
  try {
    return JSON.parse(text)
  } catch {
    // Without the text of the error: it quotes the file, and somebody may have put a key there.
    throw new ProvidersError(path, ['the file is not JSON'])
  }
}

/** A name that two have would make ids that mean two things. */
function namingFaults(providers: readonly Provider[]): string[] {
  const faults: string[] = []
  const taken = new Set([LOCAL_PROVIDER])
  for (const [i, { name, models }] of providers.entries()) {
    if (taken.has(name)) faults.push(`/providers/${i}/name: expected a name that no other provider has, and not ${LOCAL_PROVIDER}`)
    taken.add(name)
    for (const [j, model] of models.entries()) {
      if (models.findIndex((other) => other.name === model.name) < j)
        faults.push(`/providers/${i}/models/${j}/name: expected a name that no other model of this provider has`)
    }
  }
  return faults
}
