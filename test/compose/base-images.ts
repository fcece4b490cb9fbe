import { cpSync, existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Docker, docker } from './docker.js'
import { mustRun, ROOT, say } from './shell.js'

const DEBIAN = 'debian:trixie-slim'
const MIRROR = 'http://deb.debian.org/debian'
const CACHE = join(ROOT, '.runcast', 'compose')
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt'
/** Names that the machine's own certificates go by in a base. */
const apt = (packages: string) =>
  `apt-get update && apt-get install -y --no-install-recommends ${packages} && rm -rf /var/lib/apt/lists/* /var/cache/apt`

/** What stands in for images that an engine without a way to a registry of images cannot pull: same names, same users, Debian's packages. */
const RECIPES: Readonly<Record<string, string>> = {
  'node:24-trixie-slim': `FROM ${DEBIAN}
COPY ca.crt ${CERTIFICATES}
COPY node /usr/local/bin/node
COPY npm /usr/local/lib/node_modules/npm
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm && npm --version
ENV NODE_EXTRA_CA_CERTS=${CERTIFICATES}
CMD ["node"]`,
  'redis:8.0': `FROM ${DEBIAN}
RUN groupadd -r -g 999 redis && useradd -r -g redis -u 999 redis && ${apt('redis-server')} && mkdir -p /data && chown redis:redis /data
VOLUME /data
WORKDIR /data
CMD ["redis-server"]`,
  'haproxy:3.0': `FROM ${DEBIAN}
RUN ${apt('haproxy')}
STOPSIGNAL SIGUSR1
CMD ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]`,
}

/** Makes the base images on an engine: from the archive of an earlier time, else by debootstrap and npm. */
export async function importBases(engine: Docker): Promise<void> {
  const archive = join(CACHE, 'bases.tar')
  const stamp = JSON.stringify(RECIPES)
  const known = await readFile(`${archive}.json`, 'utf8').catch(() => '')
  if (known === stamp && existsSync(archive)) {
    say(`base images from ${archive}`)
    await docker(engine, ['load', '-q', '-i', archive])
    return
  }
  say('making the base images (some minutes; they are kept for the next time)')
  const folder = await mkdtemp(join(tmpdir(), 'runcast-bases-'))
  try {
    await importDebian(engine, folder)
    for (const [name, recipe] of Object.entries(RECIPES)) await build(engine, folder, name, recipe)
    await mkdir(CACHE, { recursive: true })
    await docker(engine, ['save', '-o', `${archive}.new`, ...Object.keys(RECIPES)], { timeoutMs: 300_000 })
    await rename(`${archive}.new`, archive)
    await writeFile(`${archive}.json`, stamp)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function importDebian(engine: Docker, folder: string): Promise<void> {
  const root = join(folder, 'debian')
  await mustRun('debootstrap', ['--variant=minbase', '--include=ca-certificates', 'trixie', root, MIRROR], { timeoutMs: 900_000 })
  const waste = ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/info', 'var/cache/apt', 'var/lib/apt/lists', 'var/log']
  for (const path of waste) await rm(join(root, path), { recursive: true, force: true })
  await mkdir(join(root, 'var/log'))
  await mustRun('tar', ['-C', root, '-cf', join(folder, 'debian.tar'), '.'], { timeoutMs: 300_000 })
  await docker(engine, ['import', '--change', 'CMD ["bash"]', join(folder, 'debian.tar'), DEBIAN])
  await rm(root, { recursive: true, force: true })
}

async function build(engine: Docker, folder: string, name: string, recipe: string): Promise<void> {
  const context = join(folder, 'context')
  await mkdir(context)
  if (recipe.includes('COPY node')) await bringNode(context)
  await writeFile(join(context, 'Dockerfile'), recipe)
  await docker(engine, ['build', '--network=host', '-t', name, context], { timeoutMs: 600_000 })
  await rm(context, { recursive: true, force: true })
}

async function bringNode(context: string): Promise<void> {
  const packages = join(context, 'packages')
  await mkdir(packages)
  const node = `node-linux-${process.arch}`
  const args = ['install', '--prefix', packages, '--no-save', '--no-audit', '--no-fund', '--ignore-scripts', `${node}@24`, 'npm@11']
  await mustRun('npm', args, { cwd: packages, timeoutMs: 300_000 })
  cpSync(join(packages, 'node_modules', node, 'bin/node'), join(context, 'node'))
  cpSync(join(packages, 'node_modules/npm'), join(context, 'npm'), { recursive: true })
  // Those of this machine, which may have one that its way to the registry needs.
  cpSync(CERTIFICATES, join(context, 'ca.crt'), { dereference: true })
  await rm(packages, { recursive: true, force: true })
}
