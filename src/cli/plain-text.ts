import { stripVTControlCharacters } from 'node:util'

/** Control characters (C0, DEL, C1), and characters that break a line or reorder the text around them. */
const HIDDEN = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu

/**
 * A text of a job as one line without characters that control a terminal or the order of the text, so that the author
 * of the text cannot control what the reader sees.
 */
export function plainLine(text: string): string {
  return stripVTControlCharacters(text).replaceAll(new RegExp(`${HIDDEN.source}+`, 'gu'), ' ')
}

/** The same for a text of several lines. */
export function plainLines(text: string): string[] {
  return text.split(/\r?\n/).map(plainLine)
}

/** A value as a line of JSON in which these characters are escaped, also those that JSON allows. */
export function jsonLine(value: object): string {
  return escaped(JSON.stringify(value))
}

/** The same with a line per field. */
export function jsonText(value: object): string {
  // All of its line breaks are between fields.
  return JSON.stringify(value, null, 2).split('\n').map(escaped).join('\n')
}

function escaped(json: string): string {
  return json.replaceAll(HIDDEN, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`)
}
