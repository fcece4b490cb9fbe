import { pointerPart, type SchemaFault, valueAt } from './faults.js'

/** Maximum nesting: parsers of other languages stop at about this depth. */
const MAX_DEPTH = 512

/** A value is not JSON. The message has its path (JSON Pointer, RFC 6901) and what is there. */
export class NotJson extends TypeError {
  readonly path: string

  constructor(what: string, path: string, value: string) {
    super(`${what}: ${path === '' ? '' : `${path}: `}${value} is not a JSON value`)
    this.name = 'TypeError'
    this.path = path
  }
}

/**
 * A copy of a value as plain JSON, converted as `JSON.stringify` does: `toJSON` is called, an instance of a class
 * becomes an object of its own enumerable fields, a field that is `undefined` is omitted. Throws `NotJson` for values
 * that `JSON.stringify` would silently lose or change: NaN, infinities, BigInt, symbols, functions, `undefined` in an
 * array or as the root, Map, Set, other built-in objects, cycles. `what` names the value in the error.
 */
export function jsonValueOf(value: unknown, what: string): unknown {
  try {
    return new Copier().copy(value, '')
  } catch (error) {
    // Created here, so that its stack shows the caller and not the recursion.
    throw error instanceof NoValue ? new NotJson(what, error.path, error.value) : error
  }
}

/** A value as text for an error message. */
export function shown(value: unknown): string {
  switch (typeof value) {
    case 'bigint':
      return `${value}n`
    case 'function':
      return 'a function'
    case 'string':
      return JSON.stringify(shortened(value, 100))
    case 'object':
      return value === null ? 'null' : `an object of the type ${tagOf(value)}`
    default:
      return String(value)
  }
}

/** A text cut to `maxLength` UTF-16 units, with an ellipsis, never within a surrogate pair. */
export function shortened(text: string, maxLength: number): string {
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1).replace(/[\uD800-\uDBFF]$/, '')}…`
}

/** The error for an invalid message: its type, then path and value of the first fault. */
export function invalidMessage(message: object & { readonly type?: unknown }, faults: Iterable<SchemaFault>): TypeError {
  const [fault] = faults
  const path = fault?.instancePath ?? ''
  return new TypeError(
    `${message.type}: ${path === '' ? '' : `${path} `}${fault?.message ?? 'is not valid'}, not ${shown(valueAt(message, path))}`,
  )
}

/** Thrown by `Copier`. */
class NoValue {
  readonly path: string
  readonly value: string

  constructor(path: string, value: string) {
    this.path = path
    this.value = value
  }
}

class Copier {
  /** The objects that contain the current value, and their names or indices. */
  readonly #around: object[] = []
  readonly #names: (string | number)[] = []

  /** `isConverted`: `toJSON` was already called, which happens once per value. */
  copy(value: unknown, name: string | number, isConverted = false): unknown {
    switch (typeof value) {
      case 'string':
      case 'boolean':
        return value
      case 'number':
        if (!Number.isFinite(value)) throw this.#fault(name, String(value))
        return value
      case 'object':
        return value === null ? null : this.#copyObject(value, name, isConverted)
      default:
        throw this.#fault(name, shown(value))
    }
  }

  #copyObject(value: object, name: string | number, isConverted: boolean): unknown {
    if (this.#around.includes(value)) throw this.#fault(name, 'a circular reference')
    if (this.#around.length === MAX_DEPTH) throw this.#fault(name, `a value nested deeper than ${MAX_DEPTH} levels`)
    if (!isConverted && 'toJSON' in value && typeof value.toJSON === 'function')
      return this.#converted(value, value.toJSON(String(name)), name)
    if (!Array.isArray(value) && !isRecord(value)) throw this.#fault(name, shown(value))
    this.#around.push(value)
    this.#names.push(name)
    const copy = this.#contentOf(value)
    this.#around.pop()
    this.#names.pop()
    return copy
  }

  #converted(value: object, converted: unknown, name: string | number): unknown {
    if (converted === null && value instanceof Date) throw this.#fault(name, 'an invalid Date')
    return this.copy(converted, name, true)
  }

  #contentOf(value: object): unknown {
    if (Array.isArray(value)) {
      const copy: unknown[] = []
      // By index: holes are rejected like `undefined`.
      for (let i = 0; i < value.length; i += 1) copy.push(this.copy(value[i], i))
      return copy
    }
    const copy: Record<string, unknown> = {}
    for (const key of Object.keys(value)) {
      const field = (value as Readonly<Record<string, unknown>>)[key] // an own field
      if (field === undefined) continue
      const copied = this.copy(field, key)
      if (key === '__proto__') Object.defineProperty(copy, key, { value: copied, enumerable: true, configurable: true, writable: true })
      else copy[key] = copied
    }
    return copy
  }

  #fault(name: string | number, value: string): NoValue {
    const [, ...names] = [...this.#names, name] // the root has no name
    return new NoValue(names.map((part) => `/${pointerPart(String(part))}`).join(''), value)
  }
}

/** Whether the own fields are the whole content: a plain object, or an instance of a class that is not built in. */
function isRecord(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null || tagOf(value) === 'Object'
}

/** `Map`, `Error`, `Uint8Array`, …; `Object` for plain objects and for classes without `Symbol.toStringTag`. */
function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice(8, -1)
}
