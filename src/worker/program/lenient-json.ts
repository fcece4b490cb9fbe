export type Parsed = { readonly ok: true; readonly value: unknown } | { readonly ok: false; readonly reason: string }

/** Also one that does not end: a match that fails there would be tried again from every quote on. */
const STRING = '"(?:[^"\\\\]|\\\\.)*"?'
/** Strings, to pass over them, and the numbers that JSON lacks, as Python and JavaScript write them. */
const NO_NUMBERS = new RegExp(`${STRING}|-?Infinity|NaN`, 'g')
const BRACES = new RegExp(`${STRING}|[{}]`, 'g')
/** Begins a string that stands for such a number while JSON is read. A program cannot write it: JSON has no bare control characters. */
const MARK = '\u0000'

/** Reads JSON in which NaN and infinities may stand, so that whoever checks the value can say where. */
export function parseLenient(text: string): Parsed {
  const strict = parse(text)
  if (strict.ok) return strict
  const marked = text.replace(NO_NUMBERS, (token) => (token.startsWith('"') ? token : JSON.stringify(MARK + token)))
  if (marked === text) return strict
  return parse(marked, (_key, value) => (typeof value === 'string' && value.startsWith(MARK) ? Number(value.slice(1)) : value))
}

/** Cuts a text that begins with an object after the brace that closes it; null where none does. */
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
