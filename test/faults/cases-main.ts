import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { runMain } from '../../src/app/process.js'
import { CASES } from './cases.js'

/** `npm run faults:cases`: runs the tests of every fault in `cases.ts`, each file once on a fresh Redis, and prints for each fault whether it holds. */
async function main(): Promise<void> {
  const results = new Map<string, ReadonlyMap<string, boolean>>()
  let held = 0
  for (const [fault, file, test] of CASES) {
    const tests = results.get(file) ?? (await run(file))
    results.set(file, tests)
    const passed = [...tests].filter(([title]) => title.startsWith(test)).map(([, hasPassed]) => hasPassed)
    const holds = passed.length > 0 && passed.every(Boolean)
    held += Number(holds)
    process.stdout.write(`${holds ? 'holds' : passed.length > 0 ? 'FAILS' : 'NO TEST'}\t${fault}\n\t  ${file}: ${test}\n`)
  }
  process.stdout.write(`${held} of ${CASES.length} hold\n`)
  process.exitCode = held === CASES.length ? 0 : 1
}

/** Every test of a file by its title, and whether it passed. */
async function run(file: string): Promise<ReadonlyMap<string, boolean>> {
  const path = fileURLToPath(new URL(`../${file}.test.js`, import.meta.url))
  const child = spawn(process.execPath, [path], { env: { ...process.env, TAP_TIMEOUT: '180' }, stdio: ['ignore', 'pipe', 'inherit'] })
  const tests = new Map<string, boolean>()
  for await (const line of createInterface({ input: child.stdout })) {
    const [, not, title] = /^ *(not )?ok \d+ - (.*?)(?: # time=.*)?(?: \{)?$/.exec(line) ?? []
    // A title that stands twice holds where both do.
    if (title !== undefined) tests.set(title, not === undefined && tests.get(title) !== false)
  }
  return tests
}

await runMain(main)
