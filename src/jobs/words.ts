import type { JobWords, StoredWords } from '../core/words.js'
import { Checker } from '../protocol/checker.js'
import { RuncastError } from '../protocol/codes.js'
import { asPlainJson, stringifyJson } from '../protocol/json.js'
import { MAX_METADATA_BYTES, WordsPatch } from '../protocol/words.js'

const checker = new Checker(WordsPatch)

/** A field that is absent stays as it is; null removes it. */
export type WordsChanges = { readonly [F in keyof JobWords]?: JobWords[F] | null | undefined }

/**
 * The texts to store for each field that is given; '' removes it. Throws `invalid` with the path of each faulty field.
 */
export function storedWords({ title, tags, metadata }: WordsChanges): Partial<StoredWords> {
  const given = Object.entries({ title, tags, metadata }).filter(([, value]) => value !== undefined)
  if (given.length === 0) return {}
  const plain = asPlainJson(Object.fromEntries(given), '', 'double')
  if (!checker.check(plain)) throw new RuncastError('invalid', { issues: checker.faults(plain) })
  const texts = {
    ...(plain.title !== undefined && { title: plain.title ?? '' }),
    ...(plain.tags !== undefined && { tags: plain.tags?.length ? JSON.stringify(plain.tags) : '' }),
    ...(plain.metadata !== undefined && { metadata: plain.metadata ? stringifyJson(plain.metadata) : '' }),
  }
  if (Buffer.byteLength(texts.metadata ?? '') > MAX_METADATA_BYTES) {
    throw new RuncastError('invalid', { issues: [{ path: '/metadata', expected: `at most ${MAX_METADATA_BYTES} bytes of JSON` }] })
  }
  return texts
}
