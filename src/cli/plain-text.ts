import { stripVTControlCharacters } from 'node:util'

/** A text of a job as one line without control characters (C0, DEL, C1): whoever writes it does not command the terminal of whoever reads it. */
export function plainLine(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/\p{Cc}+/gu, ' ')
}

/** The same of a text of several lines. */
export function plainLines(text: string): string[] {
  return text.split(/\r?\n/).map(plainLine)
}
