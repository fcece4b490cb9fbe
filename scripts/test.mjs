#!/usr/bin/env node
/*
 * Runs compiled tests: node scripts/test.mjs [options] <folder or file>...
 *
 *   --jobs=<n>     concurrent files; default: the number of processors, and half as many again without e2e tests, since
 *                  these files wait longer than they compute
 *   --timeout=<s>  limit of a file that sets none itself; default 120
 *   --budget=<s>   expected time of the run; a longer run is reported, but does not fail
 *
 * A file may be named with or without path and extension: `hub`, `unit/hub`, `test/unit/hub.test.ts`. Prints a line per
 * file, the ten slowest, each failure with its diagnostics, and "N passed, N failed" as the last line. Exits with 1 if
 * a test failed or none ran.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { Parser } from 'tap-parser'
import { stringify } from 'yaml'
import '../build/test/support/programs.js'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const END = '.test.js'
/** No test file may take longer than this many times the limit, even if it sets its own. */
const MAX_LIMIT_FACTOR = 5
const SLOWEST = 10
/** Maximum characters shown per failure. */
const SHOWN = 4000
const { values, positionals } = parseArgs({
  options: {
    jobs: { type: 'string' },
    timeout: { type: 'string', default: '120' },
    budget: { type: 'string', default: 'Infinity' },
  },
  allowPositionals: true,
})
const start = performance.now()
const waiting = testFiles(positionals)
const startsProcesses = waiting.some((file) => !/^(unit|texts|contract|property|integration)\//.test(file))
const jobs = Number(values.jobs ?? Math.ceil(availableParallelism() * (startsProcesses ? 1 : 1.5)))
const results = []
const running = new Set()
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    for (const child of running) child.kill(signal)
    process.exit(1) // the Redis server ends with this process
  })
}

// All files share one Redis, which `sharedTestRedis` finds by RUNCAST_TEST_REDIS. They run under plain Node: the
// loaders of tap's own runner are for coverage and mocks, and more than double the start time of a file.
const redis = await startRedis(waiting)
const env = { ...process.env, TAP: '1', TAP_TIMEOUT: values.timeout, ...(redis && { RUNCAST_TEST_REDIS: redis.url }) }
await Promise.all(Array.from({ length: jobs }, work))
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
 * The compiled test files that the arguments name, in order: a folder of test/ (`unit`), or one file with or without
 * path and extension (`hub`, `unit/hub`, `test/unit/hub.test.ts`). Throws for an argument that matches none.
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

/** Starts a Redis without persistence, if any of the files uses one. */
async function startRedis(files) {
  if (files.every((file) => /^(texts|unit)\//.test(file))) return undefined
  const { startRedisServer } = await import('../build/src/embedded/redis-server.js')
  return startRedisServer({ extraArgs: ['--appendonly', 'no'] })
}

/**
 * Runs files until none waits. Unit files share the process of their lane: a process for each would cost three times as
 * much. A process in which a test failed gets no other file.
 */
async function work() {
  let shared
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    if (!file.startsWith('unit/')) {
      report(await runFile(file, launch(`build/test/${file}${END}`)))
      continue
    }
    if (!running.has(shared)) shared = launch('scripts/test-host.mjs')
    const result = await runFile(file, shared, true)
    report(result)
    if (result.failures.length === 0) continue
    shared.kill('SIGKILL')
    shared = undefined
  }
  if (running.has(shared)) await close(shared)
}

/** Closes a shared process, which must then end by itself: what a file has left open is a failure. */
async function close(child) {
  const limit = setTimeout(() => child.kill('SIGKILL'), 10_000)
  child.stdin.end()
  const [code, signal] = await once(child, 'close')
  clearTimeout(limit)
  if (code === 0) return
  const failure = `unit: the shared process did not end well (${signal ?? `exit code ${code}`})`
  report({ file: 'unit', passed: 0, failures: [failure], skipped: [], seconds: 0 })
}

function report(result) {
  results.push(result)
  const { file, passed, failures, skipped, seconds } = result
  console.log(`${failures.length > 0 ? 'FAIL' : 'ok  '} ${file} (${passed} in ${seconds.toFixed(1)} s)`)
  for (const failure of failures) console.log(`     ${failure.split('\n', 1).join().slice(0, 300)}`)
  for (const skip of skipped) console.log(`     skipped: ${skip}`)
}

function launch(script) {
  const child = spawn(process.execPath, [script], { cwd: ROOT, env, stdio: ['pipe', 'pipe', 'inherit'] })
  running.add(child)
  child.on('close', () => running.delete(child))
  child.stdout.setEncoding('utf8')
  return child
}

/**
 * Runs one file, in its own process or as the next of a shared one. Returns the number of passed assertions, the failed
 * ones as text, and the skipped ones with their reasons. A process that exits with an error is a failure too.
 */
function runFile(file, child, isShared = false) {
  const start = performance.now()
  const limit = setTimeout(() => child.kill('SIGKILL'), (isShared ? 1 : MAX_LIMIT_FACTOR) * 1000 * Number(env.TAP_TIMEOUT))
  const endLine = new RegExp(` - end of ${file}( .*)?\n`)
  let output = ''
  if (isShared) child.stdin.write(`${file}\n`)
  else child.stdin.end()
  return new Promise((resolve) => {
    child.stdout.on('data', read)
    child.on('close', end)
    function read(text) {
      output += text
      if (isShared && endLine.test(output)) end(0)
    }
    function end(code, signal) {
      clearTimeout(limit)
      child.stdout.off('data', read)
      child.off('close', end)
      const asserts = Parser.parse(output, { flat: true })
        .flatMap(([type, assert]) => (type === 'assert' ? [assert] : []))
        .filter(({ name }) => !name.endsWith(`end of ${file}`))
      const counted = asserts.filter(({ skip, todo }) => !skip && !todo)
      const failures = counted
        .filter(({ ok }) => !ok)
        .map(
          ({ fullname, diag }) => `${file} > ${fullname}\n${diag ? stringify(plain(diag), { blockQuote: 'literal', lineWidth: 0 }) : ''}`,
        )
      const passed = counted.length - failures.length
      if (!existsSync(`${ROOT}build/test/${file}${END}`)) failures.push(`${file}: the file is gone`)
      else if (failures.length === 0 && code !== 0)
        failures.push(`${file}: ended with ${signal ?? `exit code ${code}`}\n${output.slice(-2000)}`)
      else if (asserts.length === 0) failures.push(`${file}: no assertion ran`)
      const skipped = asserts
        .filter(({ skip }) => skip)
        .map(({ fullname, skip }) => `${fullname}: ${skip === true ? 'no reason given' : skip}`)
      resolve({ file, passed, failures, skipped, seconds: (performance.now() - start) / 1000 })
    }
  })
}

/** The diagnostics of a failure without the functions and symbols that they may have: YAML cannot express them. */
function plain(diag) {
  return JSON.parse(JSON.stringify(diag, (_key, value) => (typeof value === 'function' ? `${value}` : value)))
}
