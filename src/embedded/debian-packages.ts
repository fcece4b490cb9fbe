import { existsSync } from 'node:fs'
import { mkdir, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { commandOutput, SetupError } from './private-copy.js'

/**
 * A program in packages of Debian or Ubuntu. `binary`: its path in them. `command`: the name under which it is called.
 * `isStatic`: it needs none of the dependencies of its packages.
 */
export interface DebianProgram {
  readonly packages: readonly string[]
  readonly binary: string
  readonly command: string
  readonly isStatic?: boolean
}

/**
 * Unpacks packages, with the libraries that this machine lacks, into `folder/packages`, and writes a script in
 * `folder/bin` that runs the program with them. apt checks the signatures. It uses its own lists and cache, so this
 * needs no privileges and changes nothing outside of `folder`.
 */
export async function unpackDebian({ packages, binary, command, isStatic = false }: DebianProgram, folder: string): Promise<void> {
  const apt = join(folder, 'apt')
  await mkdir(join(apt, 'lists', 'partial'), { recursive: true })
  await mkdir(join(apt, 'cache', 'archives', 'partial'), { recursive: true })
  await writeFile(join(apt, 'apt.conf'), await configuration(apt))
  const aptGet = (...args: string[]): Promise<string> => {
    const env = { ...process.env, APT_CONFIG: join(apt, 'apt.conf'), LC_ALL: 'C' }
    return commandOutput('apt-get', ['-qq', ...args], { cwd: apt, env })
  }
  await aptGet('update').catch(unlessUnavailable)
  const steps = isStatic ? '' : await aptGet('--simulate', '--no-install-recommends', '--reinstall', 'install', ...packages)
  // The simulation lists the packages that an installation would need.
  const needed = isStatic ? packages : [...steps.matchAll(/^Inst (\S+) /gm)].map(([, name = '']) => name)
  if (needed.length === 0) throw new SetupError(`apt-get: nothing to download for ${packages.join(', ')}`)
  await aptGet('download', ...needed)
  const root = join(folder, 'packages')
  const files = (await readdir(apt)).filter((name) => name.endsWith('.deb'))
  for (const file of files) await commandOutput('dpkg', ['-x', join(apt, file), root])
  for (const [name = ''] of files.map((file) => file.split('_')))
    if (!(await hasLicence(root, name))) throw new SetupError(`the package ${name} has no licence text`)
  await rm(apt, { recursive: true })
  await mkdir(join(folder, 'bin'))
  await writeFile(join(folder, 'bin', command), await launcher(root, binary), { mode: 0o755 })
}

/** Some package sources of this machine may be unreachable. Only whether the packages are found matters. */
function unlessUnavailable(error: unknown): void {
  if (!(error instanceof SetupError)) throw error
}

/** The apt settings of this machine, without hooks, which write to system folders, and with folders of our own. */
async function configuration(apt: string): Promise<string> {
  const settings = (await commandOutput('apt-config', ['dump'])).split('\n')
  const own = {
    'Dir::Etc::main': '/dev/null', // `settings` includes them
    'Dir::Etc::parts': '/dev/null',
    'Dir::State::lists': join(apt, 'lists'),
    'Dir::Cache': join(apt, 'cache'),
    'Dir::Cache::archives': 'archives',
    'Dir::Log': apt,
    'APT::Sandbox::User': '', // that user cannot write here
    'Debug::NoLocking': 'true', // the lock belongs to the system
  }
  const ours = Object.entries(own).map(([name, value]) => `${name} "${value}";`)
  return [...settings.filter((line) => !/^\S*-Invoke/.test(line)), ...ours, ''].join('\n')
}

/** The documentation folder of a package may be a link to that of another package, which may be installed. */
async function hasLicence(root: string, name: string): Promise<boolean> {
  const target = await readlink(join(root, 'usr/share/doc', name)).catch(() => undefined)
  const copyright = join(resolve('/usr/share/doc', target ?? name), 'copyright')
  return existsSync(join(root, copyright)) || (target !== undefined && existsSync(copyright))
}

/**
 * A shell script that locates everything by its own path, so that the folder may be moved. It uses `exec`, so the
 * program keeps its process id.
 */
async function launcher(root: string, binary: string): Promise<string> {
  const files = await readdir(root, { recursive: true })
  // Alternatives and private libraries have folders of their own.
  const libraries = new Set(files.filter((file) => /\/lib[^/]+\.so(\.\d[^/]*)?$/.test(file)).map(dirname))
  const path = [...libraries].map((library) => `$root/${library}`).join(':')
  return [
    '#!/bin/sh',
    `root=\${0%/*}/../packages`,
    ...(path === '' ? [] : [`export LD_LIBRARY_PATH="${path}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"`]),
    // The machine may have no fonts.
    ...(files.includes('etc/fonts/fonts.conf') ? ['export FONTCONFIG_SYSROOT="$root"'] : []),
    `exec "$root/${binary}" "$@"`,
    '',
  ].join('\n')
}
