import { type Config, loadConfig as load, type SettingName } from '../config/config.js'
import { knownKinds } from './define-kind.js'

/**
 * Reads the settings for a program that builds a hub or workers: `loadConfig` with the kinds that it has defined so
 * far.
 */
export function loadConfig(
  given: Readonly<Record<string, string | undefined>>,
  required: readonly SettingName[] = [],
  needsKey = true,
  kinds = knownKinds(),
): Config {
  return load(given, required, needsKey, kinds)
}
