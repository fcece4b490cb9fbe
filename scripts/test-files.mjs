import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Parser } from 'tap-parser'
import { stringify } from 'yaml'
import './programs.mjs'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const END = '.test.js'
/** No test file takes longer than this many times the limit, whatever it sets for itself. */
const PATIENCE = 5

/**
 * The compiled test files that the arguments name, in their order: a folder of test/ (`unit`), or one file, with or without its
 * path and endings (`hub`, `unit/hub`, `test/unit/hub.test.ts`). Throws for an argument that names none.
 */
export function testFiles(args) {
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

/**
 * Runs test files, `jobs` at once, each in a process of its own, and resolves to their results in the order of their ends. All of them
 * share one Redis, which `sharedTestRedis` finds in RUNCAST_TEST_REDIS. `timeoutS` is tap's limit for a file that sets none.
 *
 * The files run under plain Node: the loaders of tap's own runner serve coverage and mocks, and more than double the start of a file.
 */
export async function runTests(files, { jobs = availableParallelism(), timeoutS = 120, onResult = () => {} } = {}) {
  const redis = await startRedis(files)
  const env = { ...process.env, TAP: '1', TAP_TIMEOUT: `${timeoutS}`, ...(redis && { RUNCAST_TEST_REDIS: redis.url }) }
  const running = new Set()
  const stop = (signal) => {
    for (const child of running) child.kill(signal)
    process.exit(1) // the Redis ends with this process
  }
  const signals = ['SIGINT', 'SIGTERM']
  for (const signal of signals) process.once(signal, stop)
  try {
    const results = []
    const waiting = [...files]
    const work = async () => {
      for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
        const result = await runFile(file, env, running)
        results.push(result)
        onResult(result)
      }
    }
    await Promise.all(Array.from({ length: Math.min(jobs, files.length) }, work))
    return results
  } finally {
    for (const signal of signals) process.off(signal, stop)
    await redis?.stop()
  }
}

/** A Redis that keeps nothing on disk, for files that use one. */
async function startRedis(files) {
  if (files.every((file) => /^(texts|unit)\//.test(file))) return undefined
  const { startRedisServer } = await import('../build/src/embedded/redis-server.js')
  return startRedisServer({ extraArgs: ['--appendonly', 'no'] })
}

/** One file: how many assertions passed, each that failed as text, and each that was skipped with the reason. A process that ends badly is a failure, too. */
function runFile(file, env, running) {
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
