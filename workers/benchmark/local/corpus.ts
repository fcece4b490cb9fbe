import { readFileSync } from 'node:fs'

/** The text of this package that the local model is trained on and from which contexts are built. */
export function loadCorpus(): string {
  return readFileSync(new URL('./corpus.txt', import.meta.url), 'utf8')
}
