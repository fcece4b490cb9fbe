import { RuncastError } from './codes.js'
import { MAX_FAULTS, pointerPart } from './faults.js'

/** Maximum depth of nested arrays and objects. */
export const MAX_JSON_DEPTH = 64

/** A JSON text exceeds `MAX_JSON_DEPTH`. */
export class NestedTooDeep extends Error {
  constructor() {
    super(`nested deeper than ${MAX_JSON_DEPTH}`)
    this.name = 'NestedTooDeep'
  }
}

/** The JSON text of a number that a double cannot reproduce: 9007199254740993 or 1e400. */
export class ExactNumber {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/**
 * Parses an untrusted JSON text in linear time. A number that a double cannot reproduce becomes an `ExactNumber`.
 * `__proto__` is an ordinary field; of duplicate fields the last one counts. Throws `NestedTooDeep`, `SyntaxError`, or,
 * for NaN and infinities as Python and JavaScript write them, `invalid` with the path of each.
 */
export function parseJson(text: string): unknown {
  return parse(text, MAX_JSON_DEPTH)
}

/** Parses the output of `stringifyJson`: as `parseJson`, without a limit of depth. */
export function readJson(text: string): unknown {
  return parse(text, Number.POSITIVE_INFINITY)
}

/** The JSON text of a value of `parseJson` or `plainJson`. `isSorted`: with sorted fields. */
export function stringifyJson(value: unknown, isSorted = false): string {
  if (value instanceof ExactNumber) return value.text
  if (Array.isArray(value)) return `[${value.map((item) => stringifyJson(item, isSorted)).join()}]`
  if (Object.is(value, -0)) return '-0' // JSON.stringify would write 0
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value)
  if (isSorted) fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${stringifyJson(field, isSorted)}`).join()}}`
}

/** `exact`: inexact numbers are kept as `ExactNumber`. `double`: every number becomes a JavaScript number. */
export type Numbers = 'exact' | 'double'

/**
 * A copy of a value as JSON. What `JSON.stringify` omits is omitted. Throws `invalid` with the path below `at` of each
 * value that it would silently change: NaN, infinities, functions, symbols, `Map`, `Set`, nesting deeper than
 * `MAX_JSON_DEPTH` (which includes cycles), and, with `double`, an integer or a magnitude that a double cannot hold. -0
 * becomes 0 with `double`. `undefined` stays `undefined`.
 */
export function plainJson(value: unknown, at: string, numbers: Numbers): unknown {
  if (value === undefined) return undefined
  const copier = new Copier(at, numbers)
  const plain = copier.copy(value)
  if (copier.faults.length > 0) throw new RuncastError('invalid', { issues: copier.faults })
  return plain
}

/**
 * `plainJson` that returns the value itself if it is already plain, because copying thousands of fields takes
 * milliseconds. For values that are not modified afterwards.
 */
export function asPlainJson(value: unknown, at: string, numbers: Numbers): unknown {
  return isPlain(value, 0) ? value : plainJson(value, at, numbers)
}

/** Whether a copy would be equal, with either kind of `Numbers`. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return true
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0)
  if (typeof value !== 'object' || depth === MAX_JSON_DEPTH) return false
  if (Array.isArray(value)) {
    if ('toJSON' in value) return false
    for (const item of value) if (!isPlain(item, depth + 1)) return false
    return true
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return false
  // All fields are own ones: `Object.prototype` has no enumerable ones.
  for (const name in value) if (!isPlain(Reflect.get(value, name), depth + 1)) return false
  return true
}

class Copier {
  readonly faults: { path: string; expected: string }[] = []
  readonly #at: string
  readonly #numbers: Numbers
  /** Path of the current value. */
  readonly #path: (string | number)[] = []

  constructor(at: string, numbers: Numbers) {
    this.#at = at
    this.#numbers = numbers
  }

  copy(value: unknown): unknown {
    if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value
    if (typeof value === 'number') return this.#number(value)
    if (typeof value === 'bigint') return this.#exact(String(value))
    if (value instanceof ExactNumber) return this.#exact(value.text)
    if (typeof value !== 'object') return this.#reject('a JSON value')
    if (value instanceof Map || value instanceof Set) return this.#reject('an object or array, not a Map or Set')
    if ('toJSON' in value && typeof value.toJSON === 'function') return this.copy(value.toJSON())
    if (this.#path.length === MAX_JSON_DEPTH) return this.#reject(`at most ${MAX_JSON_DEPTH} levels of nesting`)
    if (Array.isArray(value)) return value.map((item, i) => this.#copyAt(i, item))
    const fields = Object.entries(value).filter(([, field]) => field !== undefined)
    return Object.fromEntries(fields.map(([name, field]) => [name, this.#copyAt(name, field)]))
  }

  #copyAt(step: string | number, value: unknown): unknown {
    if (this.faults.length >= MAX_FAULTS) return undefined
    this.#path.push(step)
    const copy = this.copy(value)
    this.#path.pop()
    return copy
  }

  #number(number: number): unknown {
    if (!Number.isFinite(number)) return this.#reject(`a finite number, not ${number}`)
    return this.#numbers === 'double' ? number + 0 : number // -0 + 0 is 0
  }

  #exact(text: string): unknown {
    if (this.#numbers === 'exact') return isDouble(text) ? Number(text) : new ExactNumber(text)
    const number = Number(text)
    return isNear(text, number) ? number + 0 : this.#reject('a number that a double (IEEE 754) can hold')
  }

  #reject(expected: string): void {
    this.faults.push({ path: [this.#at, ...this.#path.map((step) => pointerPart(String(step)))].join('/'), expected })
  }
}

function parse(text: string, maxDepth: number): unknown {
  const { depth, inexact, nonFinite } = scan(text, maxDepth)
  if (depth > maxDepth) throw new NestedTooDeep()
  let value: unknown
  try {
    value = JSON.parse(text) // always: inserted markers would make some invalid texts valid
  } catch (error) {
    if (nonFinite.length > 0) rejectNumbers(text, inexact.concat(nonFinite))
    throw error
  }
  return inexact.length === 0 ? value : parseMarked(text, inexact)
}

/** Throws `invalid` if NaN and infinities are the only reason that the text is not JSON. */
function rejectNumbers(text: string, numbers: readonly Range[]): void {
  const inOrder = numbers.toSorted(([a], [b]) => a - b)
  try {
    plainJson(parseMarked(text, inOrder), '', 'exact')
  } catch (error) {
    // A marker in a path was the name of a field, such as {NaN: NaN}.
    const isOtherwiseJson = error instanceof RuncastError && !error.issues.some(({ path }) => path.includes(MARK))
    if (isOtherwiseJson || !(error instanceof RuncastError || error instanceof SyntaxError)) throw error
  }
}

/** Replaces these numbers by marked strings, because a reviver of Node 20 does not get the text of a number. */
function parseMarked(text: string, numbers: readonly Range[]): unknown {
  const parts: string[] = []
  let from = 0
  for (const [start, end] of numbers) {
    parts.push(text.slice(from, start), text.slice(start, end))
    from = end
  }
  const marked = parts.map((part, i) => (i % 2 === 0 ? part : `"${MARK}${part}"`))
  return unmarked(JSON.parse(marked.join('') + text.slice(from)))
}

const MARK = crypto.randomUUID()

type Range = readonly [start: number, end: number]

/** The value with numbers in place of marked strings. */
function unmarked(value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith(MARK) ? numberOf(value.slice(MARK.length)) : value
  if (typeof value !== 'object' || value === null) return value
  const holder = value as Record<string, unknown> // indices of an array are names too
  for (const name of Object.keys(holder)) {
    const inner = holder[name]
    if (typeof inner === 'string' ? inner.startsWith(MARK) : typeof inner === 'object') holder[name] = unmarked(inner)
  }
  return value
}

function numberOf(text: string): number | ExactNumber {
  return NON_FINITE.some((name) => text.endsWith(name)) ? Number(text) : new ExactNumber(text)
}

const NON_FINITE = ['NaN', 'Infinity']
const [QUOTE, BACKSLASH, MINUS, PLUS, DOT] = [0x22, 0x5c, 0x2d, 0x2b, 0x2e]

/**
 * Depth of a JSON text, at most `maxDepth` + 1, and the ranges of its inexact and non-finite numbers. Undefined results
 * for a text that is not JSON.
 */
function scan(text: string, maxDepth: number): { depth: number; inexact: Range[]; nonFinite: Range[] } {
  const inexact: Range[] = []
  const nonFinite: Range[] = []
  let deepest = 0
  let depth = 0
  for (let at = 0; at < text.length && depth <= maxDepth; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfString(text, at)
    else if (isDigit(code) || code === MINUS) {
      const end = endOfNumber(text, at)
      if (!isDouble(text.slice(at, end))) inexact.push([at, end])
      at = end - 1
    } else if (code === 0x5b || code === 0x7b) {
      depth += 1
      deepest = Math.max(deepest, depth)
    } else if (code === 0x5d || code === 0x7d) depth -= 1
    else if (code === 0x4e || code === 0x49) {
      const name = NON_FINITE.find((name) => text.startsWith(name, at))
      if (name === undefined) continue
      nonFinite.push([text.charCodeAt(at - 1) === MINUS ? at - 1 : at, at + name.length])
      at += name.length - 1
    }
  }
  return { depth: deepest, inexact, nonFinite }
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at
    if (code === BACKSLASH) at += 1
  }
  return text.length
}

function endOfNumber(text: string, start: number): number {
  let end = start + 1
  for (; end < text.length; end += 1) {
    const code = text.charCodeAt(end)
    if (!isDigit(code) && code !== DOT && code !== MINUS && code !== PLUS && (code | 0x20) !== 0x65) break
  }
  return end
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/**
 * A double reproduces up to 15 digits (IEEE 754) if it is normal, which is certain without a three-digit exponent.
 */
const [MIN_LENGTH, PLAIN_LENGTH] = [5, 15]
const LEAST_NORMAL = 2 ** -1022

/** Whether a double reproduces the number, compared as JavaScript writes it. */
function isDouble(text: string): boolean {
  if (text.length < MIN_LENGTH) return true
  const isShort = text.length <= PLAIN_LENGTH
  if (isShort && !/[eE][+-]?\d{3}/.test(text)) return true
  const number = Number(text)
  if (!Number.isFinite(number)) return false
  if (isShort && Math.abs(number) >= LEAST_NORMAL) return true
  const [written, read] = [decimalOf(text), decimalOf(String(number))]
  return written.digits === read.digits && (written.digits === '' || written.exponent === read.exponent)
}

/**
 * Whether a double is a fair reading of the text: fractions may be rounded, integers not; no overflow, no underflow.
 */
function isNear(text: string, number: number): boolean {
  const { digits, exponent } = decimalOf(text)
  if (digits === '') return true
  return Number.isFinite(number) && number !== 0 && digits.length > exponent
}

/** A number as 0.`digits` × 10^`exponent`, without leading and trailing zeros. */
interface Decimal {
  readonly digits: string
  readonly exponent: number
}

function decimalOf(text: string): Decimal {
  const e = text.search(/[eE]/)
  const mantissa = e < 0 ? text : text.slice(0, e)
  const dot = mantissa.indexOf('.')
  const sign = mantissa.charCodeAt(0) === MINUS ? 1 : 0
  const point = dot < 0 ? mantissa.length : dot
  const all = mantissa.slice(sign, point) + mantissa.slice(point + 1)
  let [from, to] = [0, all.length]
  while (from < to && all.charCodeAt(from) === 0x30) from += 1
  while (to > from && all.charCodeAt(to - 1) === 0x30) to -= 1
  return { digits: all.slice(from, to), exponent: (e < 0 ? 0 : Number(text.slice(e + 1))) + point - sign - from }
}
