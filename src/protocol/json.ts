import { RuncastError } from './codes.js'
import { MAX_FAULTS, pointerPart } from './faults.js'

/** Most arrays and objects around a value, its own included. */
export const MAX_JSON_DEPTH = 64

/** A JSON text nests its values too deep. */
export class NestedTooDeep extends Error {
  constructor() {
    super(`nested deeper than ${MAX_JSON_DEPTH}`)
    this.name = 'NestedTooDeep'
  }
}

/** A number that a double would change, by its JSON text: 9007199254740993 or 1e400. */
export class ExactNumber {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/**
 * Parses a JSON text that somebody sent. A number that a double would change becomes an `ExactNumber`. Any name of a field is plain data, also `__proto__`; of
 * fields with the same name the last one counts. Costs time linear in the length. Throws `NestedTooDeep`, or `SyntaxError` for a text that is not JSON; where it
 * is not because of NaN and infinities, as Python and JavaScript write them, `invalid` with the path of each.
 */
export function parseJson(text: string): unknown {
  return parse(text, MAX_JSON_DEPTH)
}

/** Parses a JSON text that `stringifyJson` wrote: numbers as `parseJson` has them, however deep it nests. */
export function readJson(text: string): unknown {
  return parse(text, Number.POSITIVE_INFINITY)
}

/** The JSON text of a value of `parseJson` or `plainJson`, an `ExactNumber` as it was read; `isSorted`: the same whatever the order of the fields. */
export function stringifyJson(value: unknown, isSorted = false): string {
  if (value instanceof ExactNumber) return value.text
  if (Array.isArray(value)) return `[${value.map((item) => stringifyJson(item, isSorted)).join()}]`
  if (Object.is(value, -0)) return '-0' // JSON.stringify writes 0
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const fields = Object.entries(value)
  if (isSorted) fields.sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([name, field]) => `${JSON.stringify(name)}:${stringifyJson(field, isSorted)}`).join()}}`
}

/** What becomes of the numbers: `exact` keeps the text of one that a double would change, for a program that reads it; `double` makes every one a number. */
export type Numbers = 'exact' | 'double'

/**
 * A copy of a value as JSON has it: what `JSON.stringify` leaves out is left out, and what it would change without a word is refused. Throws `invalid` with the
 * path of each fault below `at`: NaN, infinities, functions, symbols, `Map` and `Set`, nesting deeper than `MAX_JSON_DEPTH` (so also a circle), and, for
 * doubles, an integer or a magnitude that a double cannot hold. -0 is 0 as a double. Nothing at all stays nothing.
 */
export function plainJson(value: unknown, at: string, numbers: Numbers): unknown {
  if (value === undefined) return undefined
  const copier = new Copier(at, numbers)
  const plain = copier.copy(value)
  if (copier.faults.length > 0) throw new RuncastError('invalid', { issues: copier.faults })
  return plain
}

/**
 * The same without a copy where the value is plain already, as most of what comes in is: a copy of thousands of fields costs milliseconds. For a value that
 * nobody changes meanwhile.
 */
export function asPlainJson(value: unknown, at: string, numbers: Numbers): unknown {
  return isPlain(value, 0) ? value : plainJson(value, at, numbers)
}

/** Whether a copy would be the same, whatever becomes of the numbers. */
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
  // All of them are its own: the prototype has none that a loop sees.
  for (const name in value) if (!isPlain(Reflect.get(value, name), depth + 1)) return false
  return true
}

class Copier {
  readonly faults: { path: string; expected: string }[] = []
  readonly #at: string
  readonly #numbers: Numbers
  /** The names and indices that lead to the value that is copied. */
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
    if (typeof value !== 'object') return this.#refuse('a value that JSON can hold')
    if (value instanceof Map || value instanceof Set) return this.#refuse('an object or array, not a Map or Set')
    if ('toJSON' in value && typeof value.toJSON === 'function') return this.copy(value.toJSON())
    if (this.#path.length === MAX_JSON_DEPTH) return this.#refuse(`no value nested deeper than ${MAX_JSON_DEPTH}`)
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
    if (!Number.isFinite(number)) return this.#refuse(`a number that JSON can hold, not ${number}`)
    return this.#numbers === 'double' ? number + 0 : number // -0 + 0 is 0
  }

  #exact(text: string): unknown {
    if (this.#numbers === 'exact') return isDouble(text) ? Number(text) : new ExactNumber(text)
    const number = Number(text)
    return isNear(text, number) ? number + 0 : this.#refuse('a number that a double (IEEE 754) can hold')
  }

  #refuse(expected: string): void {
    this.faults.push({ path: [this.#at, ...this.#path.map((step) => pointerPart(String(step)))].join('/'), expected })
  }
}

function parse(text: string, maxDepth: number): unknown {
  const { depth, inexact, nonFinite } = scan(text, maxDepth)
  if (depth > maxDepth) throw new NestedTooDeep()
  let value: unknown
  try {
    value = JSON.parse(text) // also where it is parsed once more: marks would make JSON of some texts that are none
  } catch (error) {
    if (nonFinite.length > 0) refuseNumbers(text, inexact.concat(nonFinite))
    throw error
  }
  return inexact.length === 0 ? value : parseMarked(text, inexact)
}

/** Does nothing for a text that is not JSON for another reason too. */
function refuseNumbers(text: string, numbers: readonly Range[]): void {
  const inOrder = numbers.toSorted(([a], [b]) => a - b)
  try {
    plainJson(parseMarked(text, inOrder), '', 'exact')
  } catch (error) {
    const isOtherwiseJson = error instanceof RuncastError && !error.issues.some(({ path }) => path.includes(MARK)) // {NaN: NaN}
    if (isOtherwiseJson || !(error instanceof RuncastError || error instanceof SyntaxError)) throw error
  }
}

/** Node 20 does not tell a reviver the text of a number: each of these is parsed as a text that nobody else can write. */
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

/** The same value, with numbers for what was marked. */
function unmarked(value: unknown): unknown {
  if (typeof value === 'string') return value.startsWith(MARK) ? numberOf(value.slice(MARK.length)) : value
  if (typeof value !== 'object' || value === null) return value
  const holder = value as Record<string, unknown> // also an array's indices are names
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
 * How deep a text nests, up to one more than `maxDepth`, and where it has numbers that a double would change, or that JSON lacks. A text that is not JSON gets
 * some answer.
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

/** Up to 15 digits always come back from a double as they were (IEEE 754) where it is a normal one, as it is without a third digit of the exponent. */
const [MIN_LENGTH, PLAIN_LENGTH] = [5, 15]
const LEAST_NORMAL = 2 ** -1022

/** Whether a double has the value of a number's text, as JavaScript would write it. */
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

/** Whether a double is what a reader of the text expects: fractions are rounded, integers are not, and nothing overflows or vanishes. */
function isNear(text: string, number: number): boolean {
  const { digits, exponent } = decimalOf(text)
  if (digits === '') return true
  return Number.isFinite(number) && number !== 0 && digits.length > exponent
}

/** A number as 0.`digits` × 10^`exponent`, without zeros at either end of the digits. */
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
