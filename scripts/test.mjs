#!/usr/bin/env node
/*
 * Runs tests: node scripts/test.mjs [--jobs=<n>] [--timeout=<s>] [--budget=<s>] <folder or file>...
 *   --jobs     files at once; without it as many as there are processors
 *   --timeout  limit of a file that sets none itself; without it 120 s
 *   --budget   how long the run should take: it says so when it took longer, and fails no test for it
 * Prints a line for each file, the slowest ten, then each failure with its diagnosis, and "N passed, N failed" as the last line.
 * Exit code 1 where a test failed or none ran. The tests are compiled before: `npm test` does that.
 */
import { parseArgs } from 'node:util'
import { runTests, testFiles } from './test-files.mjs'

const SLOWEST = 10
/** Characters that are shown of one failure. */
const SHOWN = 4000
const { values, positionals } = parseArgs({
  options: { jobs: { type: 'string' }, timeout: { type: 'string' }, budget: { type: 'string' } },
  allowPositionals: true,
})
const start = performance.now()
const onResult = ({ file, passed, failures, skipped, seconds }) => {
  console.log(`${failures.length > 0 ? 'FAIL' : 'ok  '} ${file} (${passed} in ${seconds.toFixed(1)} s)`)
  for (const failure of failures) console.log(`     ${failure.split('\n', 1).join().slice(0, 300)}`)
  for (const skip of skipped) console.log(`     skipped: ${skip}`)
}

const results = await runTests(testFiles(positionals), {
  ...(values.jobs && { jobs: Number(values.jobs) }),
  ...(values.timeout && { timeoutS: Number(values.timeout) }),
  onResult,
})

console.log(`\nSlowest files:`)
for (const { file, seconds } of results.toSorted((a, b) => b.seconds - a.seconds).slice(0, SLOWEST))
  console.log(`${seconds.toFixed(1).padStart(7)} s  ${file}`)
const took = (performance.now() - start) / 1000
const over = values.budget !== undefined && took > Number(values.budget)
console.log(`${results.length} files in ${took.toFixed(0)} s${over ? `, over the budget of ${values.budget} s` : ''}`)

const failures = results.flatMap(({ failures }) => failures)
if (failures.length > 0) console.log(`\nFailures:\n\n${failures.map((failure) => failure.slice(0, SHOWN)).join('\n')}`)
const passed = results.reduce((sum, result) => sum + result.passed, 0)
console.log(`\n${passed} passed, ${failures.length} failed`)
if (passed === 0 || failures.length > 0) process.exitCode = 1
