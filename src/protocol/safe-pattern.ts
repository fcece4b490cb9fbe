import { isSafe } from 'redos-detector'
import { isSchema } from './json-schema.js'

/** Steps of the search for two ways to match the same text; a pattern that needs more is as good as unsafe. No time limit: the same answer on any machine. */
const SEARCH = { maxSteps: 2000, timeout: Number.POSITIVE_INFINITY }

/**
 * The patterns of a schema that may take more than linear time for a text that does not match them, since two of their parts can match the same characters, and
 * those that cannot be checked. Throws `SyntaxError` for one that is no regular expression.
 */
export function unsafePatterns(schema: object): readonly string[] {
  return [...new Set(patternsIn(schema))].filter((pattern) => !isSafePattern(pattern))
}

function patternsIn(schema: unknown): string[] {
  if (Array.isArray(schema)) return schema.flatMap(patternsIn)
  if (!isSchema(schema)) return []
  const { pattern, patternProperties } = schema
  const own = pattern instanceof RegExp ? [pattern.source] : typeof pattern === 'string' ? [pattern] : []
  const ofNames = isSchema(patternProperties) ? Object.keys(patternProperties) : []
  return [...own, ...ofNames, ...Object.values(schema).flatMap(patternsIn)]
}

function isSafePattern(pattern: string): boolean {
  const expression = new RegExp(pattern, 'u')
  try {
    return isSafe(expression, SEARCH).safe
  } catch {
    return false // its parser does not know all of the language, such as named groups
  }
}
