import { readFileSync } from 'node:fs'

/** The text of this package that the local model is trained on and that contexts are made of. */
export function loadCorpus(): string {
  return readFileSync(new URL('./corpus.txt', import.meta.url), 'utf8')
}
