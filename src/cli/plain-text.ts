import { stripVTControlCharacters } from 'node:util'

/**
 * A text of a job as one line without control characters (C0, DEL, C1), so that the author of the text cannot control
 * the terminal of the reader.
 */
export function plainLine(text: string): string {
  return stripVTControlCharacters(text).replaceAll(/\p{Cc}+/gu, ' ')
}

/** The same for a text of several lines. */
export function plainLines(text: string): string[] {
  return text.split(/\r?\n/).map(plainLine)
}

/** A message as a line of JSON without control characters, also without those that JSON allows. */
export function jsonLine(message: object): string {
  return JSON.stringify(message).replaceAll(/\p{Cc}/gu, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
}
