import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '../support/eventually.js'
import { builderOf, type Docker, findCompose } from './docker.js'
import { linesOf, mustRun, run, say } from './shell.js'

const PACKAGES = ['docker.io', 'docker-compose', 'debootstrap', 'iptables']
const FORWARDING = '/proc/sys/net/ipv4/ip_forward'
const STOP_MS = 30_000

/** Why no engine can be started here; null where one can. */
export function whyNoEngine(): string | null {
  if (process.platform !== 'linux') return 'this is not Linux'
  if (process.getuid?.() !== 0) return 'a Docker engine is started by root alone'
  if (!existsSync('/usr/bin/apt-get')) return 'there is no apt-get'
  return null
}

/** Starts a Docker engine in a temporary folder, from Debian's packages, which are installed where they are missing. It has no network of its own: compose makes its own. */
export async function startOwnEngine(): Promise<Docker> {
  await install()
  const before = await networkState()
  const folder = await mkdtemp(join(tmpdir(), 'runcast-engine-'))
  const host = `unix://${folder}/docker.sock`
  const log = openSync(join(folder, 'log'), 'a')
  // Else a limit that this machine may not grant keeps every container from starting.
  const nofile = (await mustRun('bash', ['-c', 'ulimit -Hn'])).replace('unlimited', '1048576')
  const folders = ['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec'), '-p', join(folder, 'pid')]
  const args = [...folders, '-H', host, '--bridge', 'none', '--default-ulimit', `nofile=${nofile}:${nofile}`]
  const daemon = spawn('dockerd', args, { stdio: ['ignore', log, log], detached: true })
  daemon.on('error', () => {})
  const command = existsSync('/usr/bin/docker') ? '/usr/bin/docker' : 'docker'
  const close = async () => {
    await end(daemon)
    await restoreNetwork(before)
    for (const mount of await mountsBelow(folder)) await run('umount', ['-l', mount])
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const version = await eventually(() => mustRun(command, ['info', '--format', '{{.ServerVersion}}'], { env: { DOCKER_HOST: host } }), {
      timeoutMs: 30_000,
      everyMs: 300,
    })
    const compose = (await findCompose(command)) ?? ['docker-compose']
    const env = { DOCKER_HOST: host, ...(await builderOf(command)) }
    return { about: `a Docker ${version} of its own in ${folder}, with ${compose.join(' ')}`, env, command, compose, close }
  } catch (error) {
    const tail = readFileSync(join(folder, 'log'), 'utf8').slice(-1500)
    await close()
    throw new Error(`dockerd does not start: ${tail}`, { cause: error })
  }
}

async function install(): Promise<void> {
  const programs = ['dockerd', 'docker-compose', 'debootstrap', 'iptables']
  const found = await Promise.all(programs.map((program) => run('which', [program])))
  if (found.every(({ code }) => code === 0)) return
  say(`installing ${PACKAGES.join(' ')}`)
  const env = { DEBIAN_FRONTEND: 'noninteractive' }
  await run('apt-get', ['update'], { env, timeoutMs: 300_000 })
  const args = ['install', '-y', '--no-install-recommends', '-o', 'DPkg::Lock::Timeout=300', ...PACKAGES]
  await mustRun('apt-get', args, { env, timeoutMs: 600_000 })
}

async function end(daemon: ReturnType<typeof spawn>): Promise<void> {
  if (daemon.pid === undefined || daemon.exitCode !== null || daemon.signalCode !== null) return
  const timer = setTimeout(() => daemon.kill('SIGKILL'), STOP_MS)
  const ended = once(daemon, 'exit')
  daemon.kill('SIGTERM')
  await ended
  clearTimeout(timer)
}

async function mountsBelow(folder: string): Promise<string[]> {
  const mounts = readFileSync('/proc/mounts', 'utf8')
  const paths = linesOf(mounts).map((line) => line.split(' ')[1] ?? '')
  return paths.filter((path) => path.startsWith(`${folder}/`)).toSorted((a, b) => b.length - a.length)
}

/** What an engine changes of the machine's network. */
interface NetworkState {
  readonly rules: ReadonlyMap<string, ReadonlySet<string>>
  readonly forwarding: string
  readonly links: ReadonlySet<string>
}

const TABLES = ['filter', 'nat']

async function rulesOf(table: string): Promise<string[]> {
  return linesOf((await run('iptables', ['-t', table, '-S'])).stdout)
}

async function linksNow(): Promise<string[]> {
  return linesOf((await run('ls', ['/sys/class/net'])).stdout)
}

async function networkState(): Promise<NetworkState> {
  const rules = new Map<string, ReadonlySet<string>>()
  for (const table of TABLES) rules.set(table, new Set(await rulesOf(table)))
  return { rules, forwarding: readFileSync(FORWARDING, 'utf8').trim(), links: new Set(await linksNow()) }
}

/** Takes back what has come since, and only that of Docker: somebody else may have changed something too. */
async function restoreNetwork({ rules, forwarding, links }: NetworkState): Promise<void> {
  for (const table of TABLES) {
    const before = rules.get(table) ?? new Set()
    const added = (await rulesOf(table)).filter((rule) => !before.has(rule))
    const isDockers = (rule: string) => /DOCKER|\bbr-[0-9a-f]{12}\b/.test(rule)
    for (const rule of added.filter((rule) => rule.startsWith('-A') && isDockers(rule)))
      await run('iptables', ['-t', table, ...rule.replace(/^-A/, '-D').split(' ')])
    const chains = added.filter((rule) => rule.startsWith('-N') && isDockers(rule)).map((rule) => rule.slice(3))
    for (const chain of chains) await run('iptables', ['-t', table, '-F', chain])
    for (const chain of chains) await run('iptables', ['-t', table, '-X', chain])
    for (const policy of before) if (policy.startsWith('-P')) await run('iptables', ['-t', table, ...policy.split(' ')])
  }
  const left = (await linksNow()).filter((link) => !links.has(link) && /^(br-[0-9a-f]{12}|veth[0-9a-f]{7})$/.test(link))
  for (const link of left) await run('ip', ['link', 'delete', link])
  writeFileSync(FORWARDING, forwarding)
}
