import { readFileSync } from 'node:fs'
import type { Static, TSchema } from 'typebox'
import type { Validator } from 'typebox/compile'
import Value from 'typebox/value'
import { describeFaults } from '../protocol/faults.js'

/** A file that a setting names. */
export interface SettingsFile {
  readonly path: string
  /** The setting that names it. */
  readonly setting: string
  /** What is in it, in the plural. */
  readonly content: string
}

/** What is in a file of settings cannot be used as it is. The message has a line per fault, each with its path, and no value of the file. */
export class SettingsFileError extends Error {
  constructor({ path, setting, content }: SettingsFile, faults: readonly string[]) {
    super(`The ${content} in ${path} (${setting}) are not valid:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'SettingsFileError'
  }
}

/** Reads a JSON file, fills in the defaults and checks it. Throws what `refuse` makes of every fault: its path, and what is expected there. */
export function readSettingsFile<T extends TSchema>(
  path: string,
  schema: T,
  validator: Validator<Record<never, never>, T>,
  refuse: (faults: readonly string[]) => Error,
): Static<T> {
  const content: unknown = Value.Default(schema, parse(path, refuse))
  if (validator.Check(content)) return content
  throw refuse(describeFaults(validator.Errors(content)).map(({ path: at, expected }) => `${at || '/'}: expected ${expected}`))
}

function parse(path: string, refuse: (faults: readonly string[]) => Error): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw refuse([`the file cannot be read: ${error instanceof Error && 'code' in error ? error.code : error}`])
  }
  try {
    return JSON.parse(text)
  } catch {
    // Without the text of the error: it quotes the file, and somebody may have put a key there.
    throw refuse(['the file is not JSON'])
  }
}
