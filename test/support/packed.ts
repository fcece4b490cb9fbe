import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import ts from 'typescript'
import { startCommand } from './command.js'

/** Root of the clone. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** An empty folder outside the clone, removed in the teardown. */
export function emptyFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'runcast-package-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/**
 * Packs the compiled files of a folder of the clone and returns the path of the tarball. Skips `prepack`, which would
 * compile while other tests run.
 */
export async function pack(t: Test, from = ROOT): Promise<string> {
  const folder = emptyFolder(t)
  await npm(t, ['pack', '--ignore-scripts', '--pack-destination', folder], from)
  const [tarball = ''] = readdirSync(folder)
  return join(folder, tarball)
}

/** Runs npm; throws if it fails. */
export async function npm(t: Test, args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await startCommand(t, 'npm', args, { cwd }).ended
  if (code !== 0) throw new Error(`npm ${args.join(' ')} ended with ${code}: ${stdout}${stderr}`)
  return stdout
}

/** Errors of the compiler for the programs of a folder and the declarations of its packages, without optional peers. */
export function typeFaults(folder: string, file: string, code: string, options: ts.CompilerOptions): string[] {
  const path = join(folder, file)
  writeFileSync(path, code)
  const program = ts.createProgram([path], {
    noEmit: true,
    strict: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    ...options,
  })
  const ours = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(folder))
  if (ours.length < 10) throw new Error(`the compiler has seen ${ours.length} files only`)
  const diagnostics = [...program.getOptionsDiagnostics(), ...ours.flatMap((source) => [...program.getSemanticDiagnostics(source)])]
  return diagnostics.map(({ file: at, messageText }) => `${at?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`)
}
