import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BootstrapError, run, say } from './command.mjs'
import { findManager, prefixFor } from './package-managers.mjs'

const FOLDER = fileURLToPath(new URL('../.runcast/prometheus', import.meta.url))

/** promtool, which checks metrics and alert rules: one on the PATH, or one that was fetched. */
export async function hasPromtool() {
  const paths = ['promtool', join(FOLDER, 'usr/bin/promtool')]
  const answers = await Promise.all(paths.map((path) => run(path, ['--version'])))
  return answers.some(({ status }) => status === 0)
}

/** Takes it out of Debian's package `prometheus`, without installing that: it would start a service. */
export async function fetchPromtool(mayInstall) {
  const manager = await findManager()
  if (mayInstall && manager?.name === 'apt-get') {
    say('getting promtool out of the package prometheus into .runcast/prometheus')
    await mkdir(FOLDER, { recursive: true })
    let output = await download()
    const prefix = await prefixFor(manager)
    // The lists may be older than what the mirror has.
    if (!(await unpack()) && prefix !== undefined) {
      const [command, ...args] = [...prefix, ...manager.refresh]
      await run(command, args)
      output += await download()
      await unpack()
    }
    if (await hasPromtool()) return
    process.stderr.write(output)
  }
  const help =
    manager?.name === 'apt-get'
      ? 'run "apt-get download prometheus" and "dpkg -x" it into .runcast/prometheus'
      : 'install it from https://prometheus.io/download'
  throw new BootstrapError(`no promtool here: ${help}`)
}

async function download() {
  return (await run('apt-get', ['-o', 'APT::Sandbox::User=root', 'download', 'prometheus'], { cwd: FOLDER })).output
}

async function unpack() {
  const packages = (await readdir(FOLDER)).filter((name) => name.endsWith('.deb'))
  for (const name of packages) {
    await run('dpkg', ['-x', name, '.'], { cwd: FOLDER })
    // What nobody needs of it is large.
    for (const path of [name, 'usr/bin/prometheus']) await rm(join(FOLDER, path), { force: true })
  }
  return packages.length > 0
}
