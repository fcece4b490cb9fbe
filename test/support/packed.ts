import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { startCommand } from './command.js'

/** The clone. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url))

/** An empty folder outside of the clone, removed in the teardown. */
export function emptyFolder(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'runcast-package-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** Packs what is compiled now; answers the path of the tarball. Without `prepack`, which would compile while other tests run. */
export async function pack(t: Test): Promise<string> {
  const folder = emptyFolder(t)
  await npm(t, ['pack', '--ignore-scripts', '--pack-destination', folder], ROOT)
  const [tarball = ''] = readdirSync(folder)
  return join(folder, tarball)
}

/** Runs npm, which must succeed. */
export async function npm(t: Test, args: readonly string[], cwd: string): Promise<string> {
  const { code, stdout, stderr } = await startCommand(t, 'npm', args, { cwd }).ended
  if (code !== 0) throw new Error(`npm ${args.join(' ')} ended with ${code}: ${stdout}${stderr}`)
  return stdout
}
