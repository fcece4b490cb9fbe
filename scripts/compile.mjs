import { createHash } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { mustRun, say } from './command.mjs'

const SETTINGS = ['tsconfig.json', 'package.json', 'node_modules/.package-lock.json']
const SOURCE = /\.tsx?$/
/**
 * Files that programs read besides compiled ones. Results in bench/ are excluded: they would make every build stale.
 */
const ASSET = /^(src|workers|test)\/.*\.(lua|html|css|svg|txt|json|yaml)$/

/** Whether build/ is complete and was made from exactly these sources, judged by name, size and time. */
export function isCompiled(root) {
  if (!existsSync(join(root, 'tsconfig.json'))) return true
  const { sources, outputs } = readStamp(root)
  return sources === fingerprint(root) && outputs.every((file) => existsSync(join(root, 'build', file)))
}

/** Compiles, copies the assets, and removes outputs of deleted sources: a deleted test would still run. */
export function compile(root) {
  say('compiling to build/')
  const before = readStamp(root).outputs
  const sources = fingerprint(root) // before compiling: later changes cause another build
  const outputs = sourcesIn(root).map((file) => file.replace(SOURCE, '.js'))
  // Without a stamp the contents of build/ are unknown.
  if (before.length === 0) rmSync(join(root, 'build'), { recursive: true, force: true })
  // The incremental compiler does not write removed outputs again.
  if (!before.every((file) => existsSync(join(root, 'build', file)))) rmSync(join(root, 'build/.tsbuildinfo'), { force: true })
  writeStamp(root, { outputs: [...new Set([...before, ...outputs])] })
  mustRun(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'], { cwd: root })
  copyAssets(root)
  for (const file of before.filter((file) => !outputs.includes(file))) {
    for (const output of [file, `${file}.map`, file.replace(/\.js$/, '.d.ts')]) rmSync(join(root, 'build', output), { force: true })
  }
  writeStamp(root, { sources, outputs })
}

/** Copies the assets to build/. */
export function copyAssets(root) {
  for (const asset of sourcesIn(root).filter((file) => ASSET.test(file))) {
    mkdirSync(dirname(join(root, 'build', asset)), { recursive: true })
    copyFileSync(join(root, asset), join(root, 'build', asset))
  }
}

function readStamp(root) {
  try {
    // Earlier versions of this file wrote another format.
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
  const { include, exclude } = JSON.parse(readFileSync(join(root, 'tsconfig.json'), 'utf8'))
  const present = include.filter((folder) => existsSync(join(root, folder)))
  const files = present.flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, file)))
  const isExcluded = (file) => exclude.some((folder) => file.startsWith(`${folder}/`))
  return files.filter((file) => (SOURCE.test(file) || ASSET.test(file)) && !isExcluded(file))
}
