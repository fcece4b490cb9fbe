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
  const stamp = readStamp(root)
  return stamp !== undefined && stamp.sources === fingerprint(root) && isWhole(root, stamp)
}

/** Compiles, copies the assets, removes the outputs of sources that are gone: a removed test would run on for ever. */
export async function compile(root) {
  say('compiling to build/')
  const before = readStamp(root)
  const sources = fingerprint(root) // now: what changes while the compiler runs is for the next time
  // The compiler trusts its notes and would not write again what somebody has removed.
  if (before === undefined || !isWhole(root, before)) rmSync(join(root, 'build/.tsbuildinfo'), { force: true })
  await mustRun(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json'], { cwd: root })
  const assets = copyAssets(root)
  const gone = (before?.assets ?? []).filter((asset) => !existsSync(join(root, asset)))
  for (const asset of gone) rmSync(join(root, 'build', asset), { force: true })
  const modules = removeOrphans(root)
  writeFileSync(join(root, 'build/.stamp.json'), JSON.stringify({ sources, assets, modules }))
}

/** Copies to build/ what the program reads beside its compiled files; answers their paths. */
export function copyAssets(root) {
  const assets = filesIn(root, FOLDERS).filter((file) => ASSET.test(file))
  for (const asset of assets) {
    mkdirSync(dirname(join(root, 'build', asset)), { recursive: true })
    copyFileSync(join(root, asset), join(root, 'build', asset))
  }
  return assets
}

function readStamp(root) {
  try {
    return JSON.parse(readFileSync(join(root, 'build/.stamp.json'), 'utf8'))
  } catch {
    return undefined
  }
}

function isWhole(root, { assets, modules }) {
  return [...assets, ...modules.map((module) => `${module}.js`)].every((file) => existsSync(join(root, 'build', file)))
}

function fingerprint(root) {
  const hash = createHash('sha256')
  const files = filesIn(root, FOLDERS).filter((file) => SOURCE.test(file) || ASSET.test(file))
  for (const file of [...files, ...SETTINGS]) {
    const { size, mtimeMs } = statSync(join(root, file), { throwIfNoEntry: false }) ?? {}
    hash.update(`${file} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

/** Removes the outputs without a source; answers the modules that stay. A compiled module is known by its declaration file: a bundle has none. */
function removeOrphans(root) {
  const build = join(root, 'build')
  const declarations = filesIn(build, FOLDERS).filter((file) => file.endsWith('.d.ts'))
  const modules = declarations.map((file) => file.slice(0, -'.d.ts'.length))
  const hasSource = (module) => ['.ts', '.tsx'].some((end) => existsSync(join(root, module + end)))
  for (const module of modules.filter((module) => !hasSource(module))) {
    for (const end of ['.js', '.js.map', '.d.ts']) rmSync(join(build, module + end), { force: true })
  }
  return modules.filter(hasSource)
}

/** Every path below these folders, relative to `root`. */
function filesIn(root, folders) {
  const present = folders.filter((folder) => existsSync(join(root, folder)))
  return present.flatMap((folder) => readdirSync(join(root, folder), { recursive: true }).map((file) => join(folder, file)))
}
