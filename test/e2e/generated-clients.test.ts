import { copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import openapiTS, { astToString } from 'openapi-typescript'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { signToken } from '../../src/cli/token.js'
import { startCommand } from '../support/command.js'
import type { OpenApi } from '../support/contract.js'
import { type Harness, SECRET, startHarness } from '../support/harness.js'
import { ROOT } from '../support/packed.js'
import { CLIENTS, NO_PYTHON_TOOLS, PYTHON } from '../support/python-tools.js'

t.setTimeout(180_000)

/** A hub whose jobs nobody computes but the clients, its document, and what a program needs to use it. */
async function startHub(t: Test): Promise<{ h: Harness; text: string; env: Readonly<Record<string, string>> }> {
  const h = await startHarness(t, { processor: null })
  const token = (role: string) => signToken(SECRET, role === 'user' ? 'alice' : role, 600, { role })
  const HUB_URL = h.nodes[0]?.http ?? ''
  const text = await (await fetch(`${HUB_URL}/docs/openapi.json`)).text()
  return { h, text, env: { HUB_URL, USER: token('user'), ADMIN: token('admin'), WORKER: token('worker') } }
}

function operationsOf(text: string): string[] {
  const { paths } = JSON.parse(text) as OpenApi
  return Object.entries(paths)
    .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`))
    .toSorted()
}

t.test('[DOC-1] a generated TypeScript client calls every route, with typed answers and errors', async (t) => {
  const { h, text, env } = await startHub(t)
  const folder = t.testdir({ 'package.json': '{"type":"module"}' })
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'api.d.ts'), astToString(await openapiTS(text)))
  copyFileSync(join(CLIENTS, 'every-route.ts'), join(folder, 'every-route.ts'))
  const program = ts.createProgram([join(folder, 'every-route.ts')], {
    strict: true,
    noUncheckedIndexedAccess: true,
    target: ts.ScriptTarget.ES2023,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules/@types')],
    skipLibCheck: true,
  })
  const faults = ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
  t.same(faults, [])
  program.emit()
  const { code, stdout, stderr } = await startCommand(t, process.execPath, ['every-route.js'], { cwd: folder, env }).ended
  t.equal(code, 0, stderr)
  t.same(JSON.parse(stdout), operationsOf(text))
  t.same(h.faults, [])
})

t.test('[DOC-1] a generated Python client does so too', { skip: NO_PYTHON_TOOLS }, async (t) => {
  const { h, text, env } = await startHub(t)
  const folder = t.testdir({ 'openapi.json': text, 'config.yaml': 'post_hooks: []\n' })
  const target = join(folder, 'runcast_client')
  mkdirSync(target)
  const args = ['generate', '--path', 'openapi.json', '--config', 'config.yaml', '--meta', 'none', '--output-path', target, '--overwrite']
  const generated = await startCommand(t, PYTHON, ['-m', 'openapi_python_client', ...args], { cwd: folder }).ended
  t.match(generated, { code: 0 })
  t.notMatch(`${generated.stdout}${generated.stderr}`, /warning|unable|cannot/i)
  copyFileSync(join(CLIENTS, 'every_route.py'), join(folder, 'every_route.py'))
  const { code, stdout, stderr } = await startCommand(t, PYTHON, ['every_route.py', 'openapi.json'], { cwd: folder, env }).ended
  t.equal(code, 0, stderr)
  t.same(JSON.parse(stdout), operationsOf(text))
  t.same(h.faults, [])
})
