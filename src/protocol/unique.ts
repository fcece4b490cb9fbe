import { stringifyJson } from './json.js'

/** Whether no two values of JSON are equal: numbers by their value, objects whatever the order of their fields. Ends at the first that repeats. */
export function isUnique(values: readonly unknown[]): boolean {
  const simple = new Set<unknown>()
  const texts = new Set<string>()
  return values.every((value, i) => {
    if (typeof value === 'object' && value !== null) texts.add(stringifyJson(value, true))
    else simple.add(value)
    return simple.size + texts.size === i + 1
  })
}
