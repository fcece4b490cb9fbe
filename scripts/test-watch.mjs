#!/usr/bin/env node
/*
 * The inner loop: node scripts/test-watch.mjs [<folder or file>...]
 * Compiles whenever a source changes, and then runs the tests that are named; where none is named, the test files that have changed,
 * or the unit tests where only other sources have. Ctrl-C ends it.
 */
import { spawn } from 'node:child_process'
import { statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { copyAssets } from './compile.mjs'
import { runTests, testFiles } from './test-files.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TIERS = ['unit', 'texts', 'contract', 'property', 'integration', 'e2e']
const named = process.argv.slice(2)
let since = Date.now()
let again = false
let isRunning = false

const isChanged = (file) => statSync(`${ROOT}build/test/${file}.test.js`).mtimeMs > since

async function run() {
  again = true
  if (isRunning) return
  isRunning = true
  while (again) {
    again = false
    copyAssets(ROOT)
    const changed = testFiles(TIERS).filter(isChanged)
    since = Date.now()
    const files = named.length > 0 ? testFiles(named) : changed.length > 0 ? changed : testFiles(['unit'])
    const results = await runTests(files, {
      onResult: ({ file, passed, failures }) =>
        console.log([`${failures.length > 0 ? 'FAIL' : 'ok'} ${file} (${passed})`, ...failures].join('\n')),
    })
    const failed = results.reduce((sum, { failures }) => sum + failures.length, 0)
    console.log(`\n${failed === 0 ? 'All passed' : `${failed} failed`}. Waiting for changes.`)
  }
  isRunning = false
}

const compiler = spawn(process.execPath, ['node_modules/typescript/bin/tsc', '-p', '.', '--watch', '--preserveWatchOutput'], {
  cwd: ROOT,
  stdio: ['ignore', 'pipe', 'inherit'],
})
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0))
process.on('exit', () => compiler.kill())
let isFirst = named.length === 0
for await (const line of createInterface({ input: compiler.stdout })) {
  if (line.trim()) console.log(line)
  if (!/ Found 0 errors/.test(line)) continue
  if (isFirst) console.log('Waiting for changes.')
  else run()
  isFirst = false
}
