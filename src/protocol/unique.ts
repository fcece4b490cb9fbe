import { stringifyJson } from './json.js'

/** Whether no two JSON values are equal, regardless of the order of fields. Stops at the first duplicate. */
export function isUnique(values: readonly unknown[]): boolean {
  const simple = new Set<unknown>()
  const texts = new Set<string>()
  return values.every((value, i) => {
    if (typeof value === 'object' && value !== null) texts.add(stringifyJson(value, true))
    else simple.add(value)
    return simple.size + texts.size === i + 1
  })
}
