import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { isDefinedKind } from '../app/define-kind.js'
import { KIND_NAMES } from '../core/kinds.js'
import { ConfigError, SETTINGS } from './config.js'

/**
 * Imports the modules that `KINDS_MODULES` names, one after the other, before the other settings are read: these may name the kinds that they define. Throws
 * an error of one line that names the file for one that cannot be imported or defines nothing.
 */
export async function loadKinds(env: Readonly<Record<string, string | undefined>>): Promise<void> {
  for (const file of pathsIn(env.KINDS_MODULES)) {
    const before = KIND_NAMES.length
    const module = await importKinds(file)
    // One that another module has imported already has defined its kinds by then.
    const hasDefined = KIND_NAMES.length > before || Object.values(module).some(isDefinedKind)
    if (!hasDefined) throw new Error(`KINDS_MODULES: ${file} defines no kind of job.`)
  }
}

function pathsIn(text: string | undefined): readonly string[] {
  try {
    return SETTINGS.KINDS_MODULES.read(text ?? '')
  } catch (error) {
    throw new ConfigError([`KINDS_MODULES: expected ${error instanceof Error ? error.message : error}`])
  }
}

async function importKinds(file: string): Promise<object> {
  try {
    return await import(pathToFileURL(resolve(file)).href)
  } catch (error) {
    const [why] = String(error instanceof Error ? error.message : error).split('\n')
    throw new Error(`KINDS_MODULES: ${file} cannot be imported: ${why}`, { cause: error })
  }
}
