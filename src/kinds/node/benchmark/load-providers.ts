import { readSettingsFile, SettingsFileError } from '../../../config/settings-file.js'
import { Checker } from '../../../protocol/checker.js'
import { LOCAL_PROVIDER, type Provider, ProvidersFile } from '../../benchmark/provider.js'

const checker = new Checker(ProvidersFile)

/** Invalid configuration of providers. The message has a line per fault and no secret. */
export class ProvidersError extends SettingsFileError {
  constructor(path: string, faults: readonly string[]) {
    super({ path, setting: 'PROVIDERS_FILE', content: 'providers' }, faults)
    this.name = 'ProvidersError'
  }
}

/** Reads the providers from a JSON file; empty for an empty path. Throws `ProvidersError` with all faults. */
export function loadProviders(path: string): readonly Provider[] {
  if (path === '') return []
  const { providers } = readSettingsFile(path, checker, (faults) => new ProvidersError(path, faults))
  const faults = namingFaults(providers)
  if (faults.length > 0) throw new ProvidersError(path, faults)
  return providers
}

/** API keys by provider, from `env`. Throws `ProvidersError` for each variable that is not set. */
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

/** Duplicate names, which would make ambiguous ids. */
function namingFaults(providers: readonly Provider[]): string[] {
  const faults: string[] = []
  const taken = new Set([LOCAL_PROVIDER])
  for (const [i, { name, models }] of providers.entries()) {
    if (taken.has(name)) faults.push(`/providers/${i}/name: expected a unique name other than ${LOCAL_PROVIDER}, not ${name}`)
    taken.add(name)
    for (const [j, model] of models.entries()) {
      if (models.findIndex((other) => other.name === model.name) < j)
        faults.push(`/providers/${i}/models/${j}/name: expected a unique name within the provider, not ${model.name}`)
    }
  }
  return faults
}
