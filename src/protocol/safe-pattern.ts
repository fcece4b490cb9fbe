import { isSafe } from 'redos-detector'
import { isSchema } from './json-schema.js'

/**
 * Limits of the search for ambiguous matches; a pattern that needs more steps counts as unsafe. No time limit, so that
 * the result is the same on every machine.
 */
const SEARCH = { maxSteps: 2000, timeout: Number.POSITIVE_INFINITY }

/**
 * The patterns of a schema that may take more than linear time, because two of their parts can match the same
 * characters, and those that cannot be checked. Throws `SyntaxError` for an invalid pattern.
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

/** Whether no two parts of a pattern can match the same characters. Throws `SyntaxError` for an invalid pattern. */
export function isSafePattern(pattern: string): boolean {
  const expression = new RegExp(pattern, 'u')
  try {
    return isSafe(expression, SEARCH).safe
  } catch {
    return false // redos-detector cannot parse all patterns, such as named groups
  }
}
