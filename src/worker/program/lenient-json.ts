export type Parsed = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string }

/** Also matches a string without an end. Otherwise a failed match would be retried from every quote. */
const STRING = '"(?:[^"\\\\]|\\\\.)*"?'
/** Matches strings, to skip them, and the numbers that JSON lacks, as Python and JavaScript write them. */
const NO_NUMBERS = new RegExp(`${STRING}|-?Infinity|NaN`, 'g')
const BRACES = new RegExp(`${STRING}|[{}]`, 'g')
/**
 * Prefix of a string that represents such a number while JSON is parsed. A program cannot write it: JSON has no
 * unescaped control characters.
 */
const MARK = '\u0000'

/** Parses JSON that may contain NaN and infinities, so that the validator of the value can report their path. */
export function parseLenient(text: string): Parsed {
  const strict = parse(text)
  if (strict.ok) return strict
  const marked = text.replace(NO_NUMBERS, (token) => (token.startsWith('"') ? token : JSON.stringify(MARK + token)))
  if (marked === text) return strict
  return parse(marked, (_key, value) => (typeof value === 'string' && value.startsWith(MARK) ? Number(value.slice(1)) : value))
}

/** Splits a text that begins with an object after its closing brace. Null if the object is not closed. */
export function cutAfterObject(text: string): [object: string, rest: string] | null {
  let depth = 0
  for (const { 0: token, index } of text.matchAll(BRACES)) {
    if (token === '{') depth += 1
    else if (token === '}') depth -= 1
    if (token === '}' && depth === 0) return [text.slice(0, index + 1), text.slice(index + 1)]
  }
  return null
}

function parse(text: string, revive?: (key: string, value: unknown) => unknown): Parsed {
  try {
    return { ok: true, value: JSON.parse(text, revive) }
  } catch (error) {
    if (error instanceof SyntaxError) return { ok: false, reason: error.message }
    throw error
  }
}
