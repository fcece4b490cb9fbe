import type { TSchema } from 'typebox'
import { type KindContract, kindOf } from '../core/define-kind.js'
import { type Kind, Kinds } from '../core/kind.js'
import { Checker } from '../protocol/checker.js'
import { isSchema } from '../protocol/json-schema.js'
import { isSafePattern } from '../protocol/safe-pattern.js'
import { type KindEntry, KindsFile } from './kinds-file.js'
import { readSettingsFile, SettingsFileError } from './settings-file.js'

const checker = new Checker(KindsFile)

/** The kinds in the file are invalid. The message has a line per fault. */
export class KindsError extends SettingsFileError {
  constructor(path: string, faults: readonly string[]) {
    super({ path, setting: 'KINDS_FILE', content: 'kinds' }, faults)
    this.name = 'KindsError'
  }
}

/**
 * These kinds and those of a JSON file; an empty path adds none. Throws `KindsError` with the path of each fault and
 * what is expected there. Kinds of a file are computed by workers over HTTP.
 */
export function loadKindsFile(path: string, known: Kinds): Kinds {
  if (path === '') return known
  const { kinds: entries } = readSettingsFile(path, checker, (faults) => new KindsError(path, faults))
  const faults = entries.flatMap((entry, i) => entryFaults(entry, `/kinds/${i}`))
  if (faults.length > 0) throw new KindsError(path, faults)
  return entries.reduce((kinds, entry, i) => {
    try {
      return new Kinds([...kinds.all, kindIn(entry)])
    } catch (error) {
      throw new KindsError(path, [faultOf(error, `/kinds/${i}`)])
    }
  }, known)
}

function kindIn(entry: KindEntry): Kind {
  const { name, dialect, attempts, timeout_s, trust_patterns } = entry
  const common = {
    name,
    external: true,
    input: objectSchema(entry.input ?? {}),
    ...(attempts !== undefined && { attempts }),
    ...(timeout_s !== undefined && { timeoutS: timeout_s }),
    ...(trust_patterns !== undefined && { trustPatterns: trust_patterns }),
  }
  if (dialect === 'process')
    return kindOf({ ...common, dialect, ...(entry.result && { result: objectSchema(entry.result) }) } as KindContract<TSchema, 'process'>)
  const { path = `${name}s`, id_field: idField = `${name.replaceAll('-', '_')}_id`, phases = [] } = entry
  return kindOf({ ...common, dialect, path, idField, phases })
}

/** `type` and `properties` may be left out: no other schema is allowed. */
function objectSchema(schema: object): TSchema {
  return { type: 'object', properties: {}, ...schema } as TSchema
}

/** Fields in the other dialect, and what is wrong in the schemas. */
function entryFaults(entry: KindEntry, at: string): string[] {
  const { dialect, phases, input, result, trust_patterns: isTrusted = false } = entry
  const foreign = dialect === 'run' ? (['result'] as const) : (['phases', 'path', 'id_field'] as const)
  return [
    ...foreign
      .filter((field) => entry[field] !== undefined)
      .map((field) => `${at}/${field}: expected to be absent in the dialect ${dialect}`),
    ...(dialect === 'run' && phases === undefined ? [`${at}/phases: expected the phases of the progress, since the dialect is run`] : []),
    ...schemaFaults(input, `${at}/input`, isTrusted),
    ...schemaFaults(result, `${at}/result`, isTrusted),
  ]
}

const TYPES: readonly unknown[] = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null']
/** Keywords whose value is data. */
const DATA: readonly string[] = ['default', 'const', 'enum', 'examples']
/** Keywords whose value has schemas by name. */
const BY_NAME: readonly string[] = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']

/** Unknown types, and patterns that are invalid or may backtrack, at any depth. */
function schemaFaults(schema: unknown, at: string, isTrusted: boolean): string[] {
  if (Array.isArray(schema)) return schema.flatMap((member, i) => schemaFaults(member, `${at}/${i}`, isTrusted))
  if (!isSchema(schema)) return []
  const { type, pattern, patternProperties } = schema
  const isType = type === undefined || [type].flat().every((name) => TYPES.includes(name))
  const patterns = [
    ...(pattern === undefined ? [] : [[pattern, `${at}/pattern`] as const]),
    ...Object.keys(Object(patternProperties)).map((name) => [name, `${at}/patternProperties/${escaped(name)}`] as const),
  ]
  return [
    ...(isType ? [] : [`${at}/type: expected one of ${TYPES.join(', ')}`]),
    ...patterns.flatMap(([text, path]) => patternFaults(text, path, isTrusted)),
    ...Object.entries(schema).flatMap(([keyword, value]) => {
      if (DATA.includes(keyword)) return []
      const below = `${at}/${escaped(keyword)}`
      if (!BY_NAME.includes(keyword) || !isSchema(value)) return schemaFaults(value, below, isTrusted)
      return Object.entries(value).flatMap(([name, member]) => schemaFaults(member, `${below}/${escaped(name)}`, isTrusted))
    }),
  ]
}

function patternFaults(pattern: unknown, at: string, isTrusted: boolean): string[] {
  if (typeof pattern !== 'string') return [`${at}: expected a regular expression`]
  try {
    if (isSafePattern(pattern) || isTrusted) return []
  } catch {
    return [`${at}: expected a regular expression, not ${pattern}`]
  }
  const others = 'parts that cannot match the same characters, a format, or trust_patterns: true'
  return [`${at}: expected ${others}; the pattern ${pattern} may backtrack`]
}

/** A token of a JSON Pointer (RFC 6901). */
function escaped(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1')
}

/** The names of the fields in the file, where they differ. */
const FIELDS: Readonly<Record<string, string>> = { idField: 'id_field', timeoutS: 'timeout_s', processType: 'name' }

/** The message of a `TypeError` begins with the name of the field. */
function faultOf(error: unknown, at: string): string {
  if (!(error instanceof TypeError)) throw error
  const [, field = '', text = error.message] = /^(\w+): (.*)$/s.exec(error.message) ?? []
  return `${at}/${FIELDS[field] ?? field}: ${text}`
}
