import { readSettingsFile, SettingsFileError } from '../../../config/settings-file.js'
import { Checker } from '../../../protocol/checker.js'
import { LOCAL_PROVIDER, type Provider, ProvidersFile } from '../../benchmark/provider.js'

const checker = new Checker(ProvidersFile)

/** The providers cannot be used as they are configured. The message has a line per fault and no secret. */
export class ProvidersError extends SettingsFileError {
  constructor(path: string, faults: readonly string[]) {
    super({ path, setting: 'PROVIDERS_FILE', content: 'providers' }, faults)
    this.name = 'ProvidersError'
  }
}

/** Reads the providers from a JSON file; none for an empty path. Throws `ProvidersError` with every fault, its path and what is expected there. */
export function loadProviders(path: string): readonly Provider[] {
  if (path === '') return []
  const { providers } = readSettingsFile(path, checker, (faults) => new ProvidersError(path, faults))
  const faults = namingFaults(providers)
  if (faults.length > 0) throw new ProvidersError(path, faults)
  return providers
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
