/**
 * A word with the blank or line break before it, a digit, or any other single character. The tokens of a text, joined,
 * are the text.
 */
const PIECE = /[ \n]?\p{L}+(?:'\p{L}+)?|\p{N}|./gsu

/** Splits a text into tokens without loss. */
export function tokenise(text: string): string[] {
  return text.match(PIECE) ?? []
}
