/**
 * An environment variable: description, default as text, and parser. `read` throws `TypeError` with what is expected.
 */
export interface Setting<T> {
  readonly about: string
  readonly fallback: string
  readonly read: (text: string) => T
}

export function integer(about: string, fallback: number, min: number, max: number): Setting<number> {
  const read = (text: string) => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isInteger(value) || value < min || value > max)
      throw new TypeError(`an integer from ${min} to ${max}`)
    return value
  }
  return { about, fallback: String(fallback), read }
}

export function oneOf<const T extends string>(about: string, fallback: T, values: readonly T[]): Setting<T> {
  const read = (text: string) => {
    const value = values.find((known) => known === text)
    if (value === undefined) throw new TypeError(`one of ${values.join(', ')}`)
    return value
  }
  return { about, fallback, read }
}

export function text(about: string, fallback: string, pattern: RegExp, expected: string): Setting<string> {
  const read = (value: string) => {
    if (value !== '' && !pattern.test(value)) throw new TypeError(expected)
    return value
  }
  return { about, fallback, read }
}

/** A comma-separated list of some of these names. Default: all. */
export function namesOf(about: string, names: readonly string[], byDefault = names): Setting<readonly string[]> {
  const read = (text: string) => {
    if (text === '') return []
    const given = text.split(',').map((name) => name.trim())
    if (!given.every((name) => names.includes(name))) throw new TypeError(`one or more of ${names.join(', ')}, separated by commas`)
    return given
  }
  return { about, fallback: byDefault.join(), read }
}

/** A comma-separated list; empty by default. */
export function list(about: string, isValid: (item: string) => boolean, expected: string): Setting<readonly string[]> {
  const read = (value: string) => {
    const items = value.split(',').map((item) => item.trim())
    if (value !== '' && !items.every(isValid)) throw new TypeError(`${expected}, separated by commas`)
    return value === '' ? [] : items
  }
  return { about, fallback: '', read }
}

/** Whether the text is an origin as browsers send it: lower case, without the default port. */
export function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}
