/** Control sequences of terminals: CSI, and OSC and other strings up to their terminator. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const SEQUENCES = /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]/g
/** Control characters except the tab, and characters that reorder the text around them. */
const HIDDEN = /(?!\t)\p{Cc}|[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu

/**
 * A line of text for a terminal or a plain page. Sequences that control a terminal are removed, such as those of
 * colors; other characters that are not visible are shown as their code, `\u{202e}`. So its author cannot control what
 * is shown.
 */
export function visibleText(line: string): string {
  return line.replaceAll(SEQUENCES, '').replaceAll(HIDDEN, (character) => `\\u{${character.charCodeAt(0).toString(16)}}`)
}
