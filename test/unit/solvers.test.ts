import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadSolvers, SolversError } from '../../src/config/load-solvers.js'
import { checkPrograms } from '../../src/worker/program/check-programs.js'
import { environmentOf } from '../../src/worker/program/environment.js'
import { BUILT_IN } from '../support/kinds.js'

function fileOf(t: Test, content: unknown): string {
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  return join(t.testdir({ 'solvers.json': text }), 'solvers.json')
}

/** The lines of a `SolversError`, one per fault. */
function faultsOf(act: () => unknown): string[] {
  try {
    act()
  } catch (error) {
    if (!(error instanceof SolversError)) throw error
    const [, ...lines] = error.message.split('\n')
    return lines.map((line) => line.trim())
  }
  return []
}

t.test('[SOLVER-1] solvers come from the file alone; what is left out has a default, and folders are those of the file', async (t) => {
  t.same(loadSolvers('', BUILT_IN), [], 'no file: the built-in solver alone')
  const full = { name: 'a-1', command: './a', args: ['x y', '$HOME'], cwd: 'folder', env: { A: 'b' }, timeout_s: 5, concurrency: 3 }
  const path = fileOf(t, { solvers: [{ name: 'b', command: 'python3' }, full] })
  t.same(loadSolvers(path, BUILT_IN), [
    { name: 'b', command: 'python3', args: [], cwd: join(path, '..'), env: {}, concurrency: 1 },
    { ...full, cwd: join(path, '../folder') },
  ])
})

t.test('[SOLVER-1] what is wrong with the file is told with path and expectation, all of it', async (t) => {
  const good = { name: 'good', command: 'x' }
  const cases: [solver: object, path: string][] = [
    [{ ...good, name: 'Bad' }, 'name'],
    [{ ...good, name: `a${'b'.repeat(32)}` }, 'name'],
    [{ name: 'good' }, 'command'],
    [{ ...good, command: '' }, 'command'],
    [{ ...good, command: 'a\0b' }, 'command'],
    [{ ...good, command: ['x', 'y'] }, 'command'],
    [{ ...good, args: 'x y' }, 'args'],
    [{ ...good, args: [1] }, 'args/0'],
    [{ ...good, env: { 'A=B': 'x' } }, 'env/A=B'],
    [{ ...good, env: { A: 1 } }, 'env/A'],
    [{ ...good, timeout_s: 0 }, 'timeout_s'],
    [{ ...good, concurrency: 1.5 }, 'concurrency'],
    [{ ...good, shell: true }, 'shell'],
  ]
  for (const [solver, at] of cases) {
    const faults = faultsOf(() => loadSolvers(fileOf(t, { solvers: [good, solver] }), BUILT_IN))
    t.equal(faults.length, 1, faults.join())
    t.ok(faults[0]?.startsWith(`/solvers/1/${at}: expected `), faults.join())
  }
  t.equal(
    faultsOf(() => loadSolvers(fileOf(t, { solvers: cases.slice(0, 4).map(([solver]) => solver) }), BUILT_IN)).length,
    4,
    'in one error',
  )
  t.same(
    faultsOf(() => loadSolvers(fileOf(t, '{"solvers": ['), BUILT_IN)),
    ['the file is not JSON'],
  )
  t.same(
    faultsOf(() => loadSolvers(join(t.testdir({}), 'nowhere.json'), BUILT_IN)),
    ['the file cannot be read: ENOENT'],
  )
})

t.test('[SOLVER-1] a name is taken once, and that of the built-in solver never', async (t) => {
  const solvers = ['a', 'b', 'a', 'horn-2d'].map((name) => ({ name, command: 'x' }))
  const expected = 'expected a unique name other than horn-2d, not'
  t.same(
    faultsOf(() => loadSolvers(fileOf(t, { solvers }), BUILT_IN)),
    [`/solvers/2/name: ${expected} a`, `/solvers/3/name: ${expected} horn-2d`],
  )
})

t.test('[SOLVER-1] a worker looks whether programs and folders are there: by PATH, or by path from the working folder', async (t) => {
  const commands = [
    { command: 'tool' },
    { command: './bin/tool' },
    { command: '../bin/tool', cwd: 'sub' },
    { command: 'tool', env: { PATH: '/nowhere' } },
    { command: 'text' },
    { command: './bin' },
    { command: './bin/tool', cwd: 'sub' },
    { command: 'tool', cwd: 'nowhere' },
  ]
  const content = { solvers: commands.map((solver, i) => ({ name: `s${i}`, ...solver })) }
  const folder = t.testdir({ 'solvers.json': JSON.stringify(content), bin: { tool: '#!/bin/sh\n', text: '' }, sub: {} })
  chmodSync(join(folder, 'bin/tool'), 0o755)
  const path = join(folder, 'solvers.json')
  const solvers = loadSolvers(path, BUILT_IN)
  const worker = { PATH: `/nowhere:${folder}/bin` }
  t.same(
    faultsOf(() => checkPrograms({ solvers, path }, solvers, worker)),
    [
      '/solvers/3/command: expected a program that can be executed: no tool in PATH',
      '/solvers/4/command: expected a program that can be executed: no text in PATH',
      `/solvers/5/command: expected a program that can be executed: no ./bin in ${folder}`,
      `/solvers/6/command: expected a program that can be executed: no ./bin/tool in ${folder}/sub`,
      `/solvers/7/cwd: expected a folder of this machine: ${folder}/nowhere`,
    ],
  )
  t.same(
    faultsOf(() => checkPrograms({ solvers, path }, solvers.slice(0, 3), worker)),
    [],
    'those that it does not take may be missing',
  )
})

t.test('[SOLVER-2] a program gets a few variables of the worker, and none that is not on the list', async (t) => {
  const worker = {
    PATH: '/bin',
    HOME: '/h',
    LC_ALL: 'C',
    TMPDIR: '/t',
    JWT_SECRET: 'x',
    REDIS_URL: 'redis://u:p@h',
    ACME_KEY: 'k',
    NODE_OPTIONS: '--inspect',
    LANG: undefined,
  }
  t.same(
    environmentOf({ env: { HOME: '/other', A: 'b', RUNCAST_RUN_ID: 'no' } }, worker, { id: 'r1', folder: '/f', traceparent: '00-1-2-01' }),
    {
      PATH: '/bin',
      HOME: '/other',
      LC_ALL: 'C',
      TMPDIR: '/t',
      A: 'b',
      RUNCAST_RUN_ID: 'r1',
      RUNCAST_RUN_DIR: '/f',
      TRACEPARENT: '00-1-2-01',
    },
  )
})
