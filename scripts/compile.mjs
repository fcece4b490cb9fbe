import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { mustRun, say } from './command.mjs'

const FOLDERS = ['src', 'workers', 'test', 'bench']
const SETTINGS = ['tsconfig.json', 'package.json', 'node_modules/.package-lock.json']
const SOURCE = /\.tsx?$/
/** What the program reads beside its compiled files. The results in bench/ are no such thing: they would make every build stale. */
const ASSET = /^(src|workers|test)\/.*\.(lua|html|css|svg|txt|json|yaml)$/

/** Whether build/ was made from exactly these sources, by their names, sizes and times, and is still all there. */
export function isCompiled(root) {
  if (!existsSync(join(root, 'tsconfig.json'))) return true
  const { sources, outputs } = readStamp(root)
  return sources === fingerprint(root) && outputs.every((file) => existsSync(join(root, 'build', file)))
}

/** Compiles, copies the assets, and removes the outputs of sources that are gone: a removed test would run on for ever. */
export function compile(root) {
  say('compiling to build/')
  const before = readStamp(root).outputs
  const sources = fingerprint(root) // now: what changes while the compiler runs is for the next time
  const outputs = sourcesIn(root).map((file) => file.replace(SOURCE, '.js'))
  // Nobody knows what an earlier version has left there.
  if (before.length === 0) rmSync(join(root, 'build'), { recursive: true, force: true })
  // The compiler trusts its notes and would not write again what somebody has removed.
  if (!before.every((file) => existsSync(join(root, 'build', file)))) rmSync(join(root, 'build/.tsbuildinfo'), { force: true })
  writeStamp(root, { outputs: [...new Set([...before, ...outputs])] })
  mustRun(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'], { cwd: root })
  copyAssets(root)
  for (const file of before.filter((file) => !outputs.includes(file))) {
    for (const output of [file, `${file}.map`, file.replace(/\.js$/, '.d.ts')]) rmSync(join(root, 'build', output), { force: true })
  }
  writeStamp(root, { sources, outputs })
}

/** Copies to build/ what the program reads beside its compiled files. */
export function copyAssets(root) {
  for (const asset of sourcesIn(root).filter((file) => ASSET.test(file))) {
    mkdirSync(dirname(join(root, 'build', asset)), { recursive: true })
    copyFileSync(join(root, asset), join(root, 'build', asset))
  }
}

function readStamp(root) {
  try {
    // Earlier versions of this file wrote another form.
    return { outputs: [], ...JSON.parse(readFileSync(join(root, 'build/.stamp.json'), 'utf8')) }
  } catch {
    return { outputs: [] }
  }
}

function writeStamp(root, stamp) {
  mkdirSync(join(root, 'build'), { recursive: true })
  writeFileSync(join(root, 'build/.stamp.json'), JSON.stringify(stamp))
}

function fingerprint(root) {
  const hash = createHash('sha256')
  for (const file of [...sourcesIn(root), ...SETTINGS]) {
    const { size, mtimeMs } = statSync(join(root, file), { throwIfNoEntry: false }) ?? {}
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

/** Sources and assets, relative to `root`. */
function sourcesIn(root) {
  const present = FOLDERS.filter((folder) => existsSync(join(root, folder)))
  const files = present.flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, file)))
  return files.filter((file) => SOURCE.test(file) || ASSET.test(file))
}
