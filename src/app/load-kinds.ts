import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError, SETTINGS } from '../config/config.js'
import { isKind } from '../core/define-kind.js'
import type { Kind, Kinds } from '../core/kind.js'
import { isWork, type Work } from '../worker/implement.js'
import { definedWork, withBuiltIns, workOf } from './define-kind.js'

/** What a process knows: the built-in kinds, and those of its modules with what computes them. */
export interface LoadedKinds {
  readonly kinds: Kinds
  /** Of the modules: those that have any. */
  readonly work: readonly Work[]
}

/**
 * Imports the modules that `KINDS_MODULES` names, one after the other, before the other settings are read: these may name the kinds that they define. A module
 * exports kinds (`defineKind`) or works (`implement`), or defines kinds in the short form. Throws an error of one line that names the file for one that cannot be
 * imported or defines nothing, and for names that two kinds have in common.
 */
export async function loadKinds(env: Readonly<Record<string, string | undefined>>): Promise<LoadedKinds> {
  const found = new Set<Kind | Work>()
  for (const file of pathsIn(env.KINDS_MODULES)) {
    const before = definedWork().length
    const exported = Object.values(await importKinds(file)).filter((value): value is Kind | Work => isKind(value) || isWork(value))
    const defined = definedWork().slice(before)
    // One that another module has imported already has defined its kinds by then.
    if (exported.length === 0 && defined.length === 0) throw new Error(`KINDS_MODULES: ${file} defines no kind of job.`)
    for (const value of [...defined, ...exported]) found.add(value)
  }
  const work = new Set([...found].flatMap((value) => workOf(value) ?? []))
  try {
    return { kinds: withBuiltIns([...found]), work: [...work] }
  } catch (error) {
    throw new Error(`KINDS_MODULES: ${error instanceof Error ? error.message : error}`, { cause: error })
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
