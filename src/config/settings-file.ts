import { readFileSync } from 'node:fs'
import type { Static, TSchema } from 'typebox'
import type { Checker } from '../protocol/checker.js'
import { type Issue, RuncastError } from '../protocol/codes.js'
import { NestedTooDeep, parseJson, plainJson } from '../protocol/json.js'

/** A file that a setting names. */
export interface SettingsFile {
  readonly path: string
  /** The setting that names it. */
  readonly setting: string
  /** What the file contains, in the plural. */
  readonly content: string
}

/**
 * The content of a settings file is invalid. The message has a line per fault with its path, and no value of the file.
 */
export class SettingsFileError extends Error {
  constructor({ path, setting, content }: SettingsFile, faults: readonly string[]) {
    super(`The ${content} in ${path} (${setting}) are not valid:\n${faults.map((fault) => `  ${fault}`).join('\n')}`)
    this.name = 'SettingsFileError'
  }
}

/**
 * Reads a JSON file, fills in the defaults and checks it. Throws the error that `errorOf` creates from all faults: each
 * has its path and what is expected there.
 */
export function readSettingsFile<T extends TSchema>(
  path: string,
  checker: Checker<T>,
  errorOf: (faults: readonly string[]) => Error,
): Static<T> {
  const content = checker.fill(parse(path, errorOf))
  if (checker.check(content)) return content
  throw errorOf(linesOf(checker.faults(content)))
}

function parse(path: string, errorOf: (faults: readonly string[]) => Error): unknown {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    throw errorOf([`the file cannot be read: ${error instanceof Error && 'code' in error ? error.code : error}`])
  }
  try {
    return plainJson(parseJson(text), '', 'double')
  } catch (error) {
    if (error instanceof NestedTooDeep) throw errorOf([`the file is ${error.message}`])
    if (error instanceof RuncastError) throw errorOf(linesOf(error.issues))
    // Without the message of the error: it quotes the file, which may contain a key.
    if (error instanceof SyntaxError) throw errorOf(['the file is not JSON'])
    throw error
  }
}

function linesOf(faults: readonly Issue[]): string[] {
  return faults.map(({ path, expected }) => `${path || '/'}: expected ${expected}`)
}
