/** A sequence of this many characters of a key identifies the key. */
const TELLING = 8
const BLOT = '***'

/**
 * Removes keys from external texts: an endpoint may repeat the key that it rejects, or a part of it. Masks everything
 * that shares eight consecutive characters with a key, the word after `Bearer`, and texts that look like a common key.
 */
export class Secrets {
  readonly #pieces = new Set<string>()
  readonly #short: string[] = []

  constructor(keys: Iterable<string>) {
    for (const key of keys) for (const form of new Set([key, encodeURIComponent(key)])) this.#add(form)
  }

  scrub(text: string): string {
    const isHit = new Uint8Array(text.length)
    for (let i = 0; i + TELLING <= text.length; i += 1) if (this.#pieces.has(text.slice(i, i + TELLING))) isHit.fill(1, i, i + TELLING)
    let clean = ''
    for (let i = 0; i < text.length; i += 1) {
      if (isHit[i] === 0) clean += text[i]
      else if (i === 0 || isHit[i - 1] === 0) clean += BLOT
    }
    for (const key of this.#short) clean = clean.replaceAll(key, BLOT)
    return clean.replace(/\bBearer\s+[^\s"',}]+/gi, `Bearer ${BLOT}`).replace(/\b(?:sk|pk|gsk|xai)-[\w*.-]{4,}/g, BLOT)
  }

  #add(key: string): void {
    if (key.length < TELLING) this.#short.push(key)
    for (let i = 0; i + TELLING <= key.length; i += 1) this.#pieces.add(key.slice(i, i + TELLING))
  }
}
