#!/usr/bin/env node
/*
 * Runs tests: node scripts/test.mjs [--jobs=<n>] [--timeout=<s>] [--budget=<s>] <folder or file>...
 *   --jobs     files at once; without it as many as there are processors
 *   --timeout  limit of a file that sets none itself; without it 120 s
 *   --budget   how long the run should take: it says so when it took longer, and fails no test for it
 * Prints a line for each file, the slowest ten, then each failure with its diagnosis, and "N passed, N failed" as the last line.
 * A file may be named with or without its path and endings: `hub`, `unit/hub`, `test/unit/hub.test.ts`. Exit code 1 where a test failed or none ran. The tests are compiled before: `npm test` does that.
 */
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Parser } from 'tap-parser'
import { stringify } from 'yaml'
import './programs.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const END = '.test.js'
/** No test file takes longer than this many times the limit, whatever it sets for itself. */
const PATIENCE = 5
const SLOWEST = 10
/** Characters that are shown of one failure. */
const SHOWN = 4000
const { values, positionals } = parseArgs({
  options: {
    jobs: { type: 'string', default: `${availableParallelism()}` },
    timeout: { type: 'string', default: '120' },
    budget: { type: 'string', default: 'Infinity' },
  },
  allowPositionals: true,
})
const start = performance.now()
const waiting = testFiles(positionals)
const results = []
const running = new Set()
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const child of running) child.kill(signal)
    process.exit(1) // the Redis ends with this process
  })
}

// All files share one Redis, which `sharedTestRedis` finds in RUNCAST_TEST_REDIS. They run under plain Node: the loaders of tap's own runner serve
// coverage and mocks, and more than double the start of a file.
const redis = await startRedis(waiting)
const env = { ...process.env, TAP: '1', TAP_TIMEOUT: values.timeout, ...(redis && { RUNCAST_TEST_REDIS: redis.url }) }
await Promise.all(Array.from({ length: Number(values.jobs) }, work))
await redis?.stop()

console.log(`\nSlowest files:`)
for (const { file, seconds } of results.toSorted((a, b) => b.seconds - a.seconds).slice(0, SLOWEST))
  console.log(`${seconds.toFixed(1).padStart(7)} s  ${file}`)
const took = (performance.now() - start) / 1000
const over = took > Number(values.budget)
console.log(`${results.length} files in ${took.toFixed(0)} s${over ? `, over the budget of ${values.budget} s` : ''}`)

const failures = results.flatMap(({ failures }) => failures)
if (failures.length > 0) console.log(`\nFailures:\n\n${failures.map((failure) => failure.slice(0, SHOWN)).join('\n')}`)
const passed = results.reduce((sum, result) => sum + result.passed, 0)
console.log(`\n${passed} passed, ${failures.length} failed`)
if (passed === 0 || failures.length > 0) process.exitCode = 1

/**
 * The compiled test files that the arguments name, in their order: a folder of test/ (`unit`), or one file, with or without its
 * path and endings (`hub`, `unit/hub`, `test/unit/hub.test.ts`). Throws for an argument that names none.
 */
function testFiles(args) {
  const all = readdirSync(`${ROOT}build/test`, { recursive: true })
    .filter((file) => file.endsWith(END))
    .map((file) => file.slice(0, -END.length))
    .toSorted()
  const found = args.flatMap((arg) => {
    const name = arg.replace(/^(\.\/)?(build\/)?(test\/)?/, '').replace(/(\.test\.[jt]s|\/)$/, '')
    const matches = all.filter((file) => file === name || file.startsWith(`${name}/`) || file.endsWith(`/${name}`))
    if (matches.length === 0) throw new Error(`no test file in build/test matches "${arg}"`)
    return matches
  })
  return [...new Set(found)]
}

/** A Redis that keeps nothing on disk, for files that use one. */
async function startRedis(files) {
  if (files.every((file) => /^(texts|unit)\//.test(file))) return undefined
  const { startRedisServer } = await import('../build/src/embedded/redis-server.js')
  return startRedisServer({ extraArgs: ['--appendonly', 'no'] })
}

async function work() {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    const result = await runFile(file)
    results.push(result)
    const { passed, failures, skipped, seconds } = result
    console.log(`${failures.length > 0 ? 'FAIL' : 'ok  '} ${file} (${passed} in ${seconds.toFixed(1)} s)`)
    for (const failure of failures) console.log(`     ${failure.split('\n', 1).join().slice(0, 300)}`)
    for (const skip of skipped) console.log(`     skipped: ${skip}`)
  }
}

/** One file: how many assertions passed, each that failed as text, and each that was skipped with the reason. A process that ends badly is a failure, too. */
function runFile(file) {
  const start = performance.now()
  const path = `${ROOT}build/test/${file}${END}`
  const child = spawn(process.execPath, [path], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'inherit'] })
  running.add(child)
  const limit = setTimeout(() => child.kill('SIGKILL'), PATIENCE * 1000 * Number(env.TAP_TIMEOUT))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output += text
  })
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(limit)
      running.delete(child)
      const asserts = Parser.parse(output, { flat: true }).flatMap(([type, assert]) => (type === 'assert' ? [assert] : []))
      const counted = asserts.filter(({ skip, todo }) => !skip && !todo)
      const failures = counted
        .filter(({ ok }) => !ok)
        .map(({ fullname, diag }) => `${file} > ${fullname}\n${diag ? stringify(diag, { blockQuote: 'literal', lineWidth: 0 }) : ''}`)
      const passed = counted.length - failures.length
      if (!existsSync(path)) failures.push(`${file}: the file is gone`)
      else if (failures.length === 0 && code !== 0)
        failures.push(`${file}: ended with ${signal ?? `exit code ${code}`}\n${output.slice(-2000)}`)
      else if (asserts.length === 0) failures.push(`${file}: no assertion ran`)
      const skipped = asserts
        .filter(({ skip }) => skip)
        .map(({ fullname, skip }) => `${fullname}: ${skip === true ? 'no reason given' : skip}`)
      resolve({ file, passed, failures, skipped, seconds: (performance.now() - start) / 1000 })
    })
  })
}
