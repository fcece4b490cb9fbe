import { run } from './command.mjs'

const APT = ['apt-get', '-y', '-o', 'DPkg::Lock::Timeout=60']
/** The system's package managers. Which packages carry a program is for the program's own file to say, by their names. */
const MANAGERS = [
  { name: 'apt-get', refresh: [...APT, 'update'], install: [...APT, 'install', '--no-install-recommends'] },
  { name: 'dnf', install: ['dnf', 'install', '-y'] },
  { name: 'yum', install: ['yum', 'install', '-y'] },
  { name: 'apk', install: ['apk', 'add', '--no-cache'] },
  { name: 'pacman', install: ['pacman', '-Sy', '--needed', '--noconfirm'] },
  { name: 'brew', install: ['brew', 'install'] },
]

/** This machine's package manager, or nothing. */
export async function findManager() {
  for (const manager of MANAGERS) if ((await run(manager.name, ['--version'])).status !== 127) return manager
  return undefined
}

/** What a user types to install a package. */
export function commandFor(manager, name) {
  const sudo = manager.name === 'brew' || isRoot() ? '' : 'sudo '
  return `${sudo}${manager.name} ${manager.name === 'apk' ? 'add' : manager.name === 'pacman' ? '-S' : 'install'} ${name}`
}

/** The words before a command that let it install without a question: none, or sudo's; nothing where there would be a question. */
export async function prefixFor(manager) {
  if (manager.name === 'brew') return isRoot() ? undefined : [] // it refuses to work for root
  if (isRoot()) return []
  return (await run('sudo', ['-n', 'true'])).status === 0 ? ['sudo', '-n'] : undefined
}

/**
 * Installs one package; answers what the manager said. One whose version is not accepted is not even installed, as far as the manager can tell
 * before. With `stopService` a service that Debian starts with the package is stopped and stays off.
 */
export async function install(manager, prefix, name, { accepts, stopService = false } = {}) {
  const privileged = ([command, ...args], env = []) => {
    const [first, ...rest] = [...prefix, 'env', ...env, command, ...args]
    return run(first, rest)
  }
  if (manager.refresh) await privileged(manager.refresh)
  if (manager.name === 'apt-get' && accepts && !accepts(await candidateOf(name))) return `apt-get has no ${name} that is recent enough\n`
  const { output } = await privileged([...manager.install, name], ['DEBIAN_FRONTEND=noninteractive', 'NONINTERACTIVE=1'])
  if (manager.name === 'apt-get' && stopService) {
    await privileged(['service', name, 'stop'])
    await privileged(['update-rc.d', name, 'disable'])
  }
  return output
}

/** The version that apt-get would install, `0` where it has none. */
async function candidateOf(name) {
  const { output } = await run('apt-cache', ['policy', name], { env: { ...process.env, LC_ALL: 'C' } })
  return /Candidate: (?:\d+:)?(\d[\d.]*)/.exec(output)?.[1] ?? '0'
}

function isRoot() {
  return process.getuid?.() === 0
}
