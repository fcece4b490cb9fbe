import { randomBytes, randomInt } from 'node:crypto'
import { CHARS_PER_TOKEN } from './measure.js'

/** Requests a text longer than any limit, so that requests end by `max_tokens` and can be compared. */
const DEFAULT_PROMPT =
  'Explain in detail, in plain paragraphs, how an ultrasonic horn works and how one is designed. Go on until you are stopped.'

const NONCE_BYTES = 12

/**
 * A prompt of about `tier` tokens of context, followed by the question. It begins with random letters, and the context
 * begins at a random position of `filler`. A prefix that was never sent before is in no cache, so every request
 * processes its whole prompt.
 */
export function promptFor(tier: number, filler: string, prompt?: string): string {
  const chars = tier * CHARS_PER_TOKEN
  const from = randomInt(Math.max(1, filler.length))
  const turned = `${filler.slice(from)}\n${filler.slice(0, from)}\n`
  const context = chars === 0 ? '' : `${turned.repeat(Math.ceil(chars / turned.length)).slice(0, chars)}\n\n`
  return `[${randomBytes(NONCE_BYTES).toString('hex')}]\n${context}${prompt ?? DEFAULT_PROMPT}`
}

/** Characters of a prompt besides its context. */
export function frameChars(prompt?: string): number {
  return (prompt ?? DEFAULT_PROMPT).length + 2 * NONCE_BYTES + 5
}

/** A tier as text: `0`, `500`, `5K`, `1.5K`. */
export function tierLabel(tier: number): string {
  return tier < 1000 ? String(tier) : `${Math.round(tier / 100) / 10}K`
}
