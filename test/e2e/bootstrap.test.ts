import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const SILENCE = { code: 0, stdout: '', stderr: '' }
const COMPILING = { code: 0, stderr: 'bootstrap: compiling to build/\n' }

t.test('compiles and copies assets; with nothing to do it says and does nothing', async (t) => {
  const project = projectOf(t)
  project.write('src/storage/redis/lua/publish.lua', 'return 1')
  t.match(await project.bootstrap(['--build']), COMPILING)
  t.equal(project.read('build/src/storage/redis/lua/publish.lua'), 'return 1')
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

t.test('finds a Redis: one too old and one that does not run are passed over', async (t) => {
  const project = projectOf(t)
  await project.bootstrap()
  const old = project.command('old/redis-server', 'echo "Redis server v=5.0.0 sha=0"')
  const broken = project.command('broken/redis-server', 'exit 127')
  const PATH = `${dirname(old)}:${dirname(broken)}`
  const none = await project.bootstrap(['--redis'], { PATH, RUNCAST_NO_INSTALL: '1' })
  t.equal(none.code, 1)
  t.match(none.stderr, `passing over ${old} is 5.0.0, older than 7.0\n`)
  t.match(none.stderr, `passing over ${broken} does not run here\n`)
  t.match(none.stderr, /no Redis 7\.0 or later here: install redis-server or valkey-server, or name one by REDIS_URL\n$/)
  t.same(await project.bootstrap(['--redis'], { PATH, REDIS_URL: 'redis://elsewhere' }), SILENCE)
  t.match(await project.bootstrap(['--redis-binary'], { PATH, REDIS_URL: 'redis://elsewhere', RUNCAST_NO_INSTALL: '1' }), { code: 1 })
  const valkey = project.command('new/valkey-server', 'echo "Valkey server v=8.1.1 sha=0"')
  t.same(await project.bootstrap(['--redis'], { PATH: `${PATH}:${dirname(valkey)}` }), SILENCE)
})

t.test("asks the system's package manager for one, without a question, and leaves no service", async (t) => {
  const project = projectOf(t)
  await project.bootstrap()
  const bin = aptGet(project, { 'redis-server': ['redis-server', 'echo Redis server v=7.0.15'] })
  const settings = { PATH: bin, RUNCAST_NO_INSTALL: '1' }
  t.match(await project.bootstrap(['--redis'], settings), { code: 1, stderr: /run "(sudo )?apt-get install redis-server"/ })
  project.remove('log')
  const { code, stderr } = await project.bootstrap(['--redis'], { PATH: bin })
  t.equal(code, 0)
  t.match(stderr, 'installing redis-server with apt-get\n')
  t.match(stderr, `using ${bin}/redis-server, version 7.0.15\n`)
  const [version, update, install, ...services] = project.read('log').trim().split('\n')
  t.equal(version, 'apt-get --version')
  t.match(update, /^apt-get -y .*update$/)
  t.match(install, /^apt-get -y .*install --no-install-recommends redis-server$/)
  t.same(services, ['service redis-server stop', 'update-rc.d redis-server disable'])
})

t.test('finds a Python: one that does not run, or is too old, will not do', async (t) => {
  const project = projectOf(t)
  await project.bootstrap()
  t.same(await project.bootstrap(['--python']), SILENCE)
  const old = dirname(project.command('old/python3', 'exit 1'))
  for (const PATH of [old, join(project.root, 'nothing')]) {
    const none = await project.bootstrap(['--python'], { PATH, RUNCAST_NO_INSTALL: '1' })
    t.match(none, { code: 1, stderr: 'bootstrap: no Python 3.9 or later (python3) here: install it from https://www.python.org\n' })
  }
})

t.test(
  'gets CalculiX, and the Python that its example needs, from the package manager; alone with --python no more than that',
  async (t) => {
    const project = projectOf(t)
    await project.bootstrap()
    const bin = aptGet(project, {
      python3: ['python3', 'exit 0'],
      'calculix-ccx': ['ccx', 'echo This is Version 2.20; exit 201'],
    })
    const installed = () =>
      project
        .read('log')
        .split('\n')
        .flatMap((line) => / install .* (\S+)$/.exec(line)?.[1] ?? [])
    const forbidden = { PATH: bin, RUNCAST_NO_INSTALL: '1' }
    t.match(await project.bootstrap(['--calculix'], forbidden), { code: 1, stderr: /: run "(sudo )?apt-get install python3"\n$/ })
    t.match(await project.bootstrap(['--python'], { PATH: bin }), { code: 0, stderr: 'bootstrap: installing python3 with apt-get\n' })
    t.same(installed(), ['python3'])
    t.match(await project.bootstrap(['--calculix'], forbidden), {
      code: 1,
      stderr: /^bootstrap: no CalculiX \(ccx\) here: run "(sudo )?apt-get install calculix-ccx"\n$/,
    })
    t.same(await project.bootstrap(['--calculix'], { PATH: bin }), {
      ...SILENCE,
      stderr: 'bootstrap: installing calculix-ccx with apt-get\n',
    })
    t.same(installed(), ['python3', 'calculix-ccx'])
    t.notMatch(project.read('log'), /service|update-rc/, 'no service belongs to them')
    t.same(await project.bootstrap(['--calculix'], forbidden), SILENCE)
    project.remove('bin/ccx')
    project.command('bin/apt-get', 'echo E: Unable to locate package; exit 100')
    t.match(await project.bootstrap(['--calculix'], { PATH: bin }), {
      code: 1,
      stderr: /E: Unable to locate package\nbootstrap: no CalculiX \(ccx\) here: /,
    })
  },
)

t.test('tells an old Node about itself', async (t) => {
  const old = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"18.20.0"}})'
  const node = spawnSync(process.execPath, ['--import', old, join(ROOT, 'scripts/bootstrap.mjs')], { encoding: 'utf8' })
  t.match(node, { status: 1, stderr: /^bootstrap: runcast needs Node 20 or later, this is 18\.20\.0/ })
})

/**
 * A folder for the PATH with an apt-get that notes in the file `log` what it is asked for, and makes the program of a package that it installs;
 * and with what is called beside it.
 */
function aptGet(
  project: ReturnType<typeof projectOf>,
  packages: Readonly<Record<string, readonly [program: string, script: string]>>,
): string {
  const note = `echo "\${0##*/} $*" >> ${join(project.root, 'log')}`
  const bin = dirname(project.command('bin/sudo', 'shift; exec "$@"'))
  for (const name of ['service', 'update-rc.d']) project.command(`bin/${name}`, note)
  project.command('bin/apt-cache', 'echo "  Candidate: 5:7.0.15-1"')
  const cases = Object.entries(packages).map(([name, [program, script]]) => {
    const file = join(bin, program)
    return `*install*' ${name}') echo '#!/bin/sh' > ${file}; echo '${script}' >> ${file}; /bin/chmod +x ${file};;`
  })
  project.command('bin/apt-get', `${note}; case "$*" in ${cases.join(' ')} esac`)
  for (const name of ['env', 'true']) symlinkSync(`/usr/bin/${name}`, join(bin, name))
  return bin
}

/** A small project with our bootstrap, the module that it needs and the packages that are installed here. */
function projectOf(t: Test) {
  const root = mkdtempSync(join(tmpdir(), 'runcast-bootstrap-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const at = (file: string) => join(root, file)
  for (const file of ['scripts', 'tsconfig.json', 'src/embedded/find-redis.ts']) cpSync(join(ROOT, file), at(file), { recursive: true })
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
