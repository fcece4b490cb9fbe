import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import fc from 'fast-check'
import type { Test } from 'tap'

/** Where a property failed before. */
interface Seed {
  readonly seed: number
  readonly path: string
}

/** In the sources, from `build/test/property`. */
const FOLDER = new URL('../../../test/property/seeds/', import.meta.url)

/** Checks a property: first where it failed before, then at random. A new failure is shown with its seed, and the seed is kept in `seeds/<name>.json`. */
export async function check<Ts>(t: Test, name: string, property: fc.IAsyncProperty<Ts> | fc.IProperty<Ts>, numRuns: number): Promise<void> {
  const file = new URL(`${name}.json`, FOLDER)
  const known: Seed[] = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : []
  for (const { seed, path } of known) {
    const again = await fc.check(property, { seed, path, numRuns, endOnFailure: true })
    t.notOk(again.failed, `seed ${seed}, path ${path}: ${fc.defaultReportMessage(again) ?? 'passes'}`)
  }
  const details = await fc.check(property, { numRuns })
  if (details.counterexamplePath !== null) {
    const found: Seed = { seed: details.seed, path: details.counterexamplePath }
    writeFileSync(file, `${JSON.stringify([...known, found], null, 2)}\n`)
  }
  t.notOk(details.failed, fc.defaultReportMessage(details) ?? `${details.numRuns} runs from seed ${details.seed}`)
}
