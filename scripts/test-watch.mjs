#!/usr/bin/env node
/*
 * Compiles and tests on every change: node scripts/test-watch.mjs [<folder or file>...]
 *
 * Runs the named tests. Without a name, runs the changed test files, or the unit tests if only other sources have
 * changed. A change during a run aborts that run. Ctrl-C stops it.
 */
import { spawn } from 'node:child_process'
import { readdirSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { copyAssets } from './compile.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const named = process.argv.slice(2)
let since = Date.now()
let isFirst = named.length === 0
let tests

function run() {
  copyAssets(ROOT)
  const all = readdirSync(`${ROOT}build/test`, { recursive: true }).filter((file) => file.endsWith('.test.js'))
  const changed = all.filter((file) => statSync(`${ROOT}build/test/${file}`).mtimeMs > since)
  since = Date.now()
  tests?.kill()
  const files = named.length > 0 ? named : changed.length > 0 ? changed : ['unit']
  tests = spawn(process.execPath, ['scripts/test.mjs', ...files], { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] })
}

const command = ['node_modules/typescript/bin/tsc', '-p', '.', '--watch', '--preserveWatchOutput']
const compiler = spawn(process.execPath, command, { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] })
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(0))
process.on('exit', () => {
  for (const child of [compiler, tests]) child?.kill()
})
for await (const line of createInterface({ input: compiler.stdout })) {
  if (line.trim()) console.log(line)
  if (!/ Found 0 errors/.test(line)) continue
  if (isFirst) console.log('Waiting for changes.')
  else run()
  isFirst = false
}
