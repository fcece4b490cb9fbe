import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ConfigError, SETTINGS } from '../config/config.js'
import { loadKindsFile } from '../config/load-kinds-file.js'
import { isKind } from '../core/define-kind.js'
import type { Kind, Kinds } from '../core/kind.js'
import { isWork, type Work } from '../worker/implement.js'
import { definedWork, withBuiltIns, workOf } from './define-kind.js'

/** The kinds of a process: the built-in ones, those of its modules with their computations, and those of its file. */
export interface LoadedKinds {
  readonly kinds: Kinds
  /** The works of the modules. */
  readonly work: readonly Work[]
}

/**
 * Imports the modules of `KINDS_MODULES` in order, before the other settings are read, since these may name the kinds
 * of the modules. A module exports kinds (`defineKind`) or works (`implement`), or defines kinds in the short form.
 * Throws a one-line error that names the file if it cannot be imported or defines nothing, and if two kinds share a
 * name. Then reads `KINDS_FILE`, as `loadKindsFile` says.
 */
export async function loadKinds(env: Readonly<Record<string, string | undefined>>): Promise<LoadedKinds> {
  const found = new Set<Kind | Work>()
  for (const file of pathsIn(env.KINDS_MODULES)) {
    const before = definedWork().length
    const exported = Object.values(await importKinds(file)).filter((value): value is Kind | Work => isKind(value) || isWork(value))
    const defined = definedWork().slice(before)
    // A module that another one imported earlier has already defined its kinds.
    if (exported.length === 0 && defined.length === 0) throw new Error(`KINDS_MODULES: ${file} defines no kind of job.`)
    for (const value of [...defined, ...exported]) found.add(value)
  }
  const work = new Set([...found].flatMap((value) => workOf(value) ?? []))
  return { kinds: loadKindsFile(env.KINDS_FILE ?? '', combined([...found])), work: [...work] }
}

function combined(found: readonly (Kind | Work)[]): Kinds {
  try {
    return withBuiltIns(found)
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
