/*
 * node secret.mjs [folder]: makes the secret of the tokens, once: <folder>/jwt, in a folder that is closed to others.
 * The file itself may be read by all, since a container that gets it alone runs as another user than the one who made it. Never changes one that is there.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const folder = process.argv[2] ?? '/secrets'
const file = join(folder, 'jwt')

mkdirSync(folder, { recursive: true })
chmodSync(folder, 0o700)
// What Docker makes where a file is to be mounted that is not there: fails unless it is empty.
if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) rmdirSync(file)
try {
  writeFileSync(file, `${randomBytes(48).toString('base64url')}\n`, { flag: 'wx', mode: 0o444 })
  chmodSync(file, 0o444)
  process.stdout.write('The secret has been made.\n')
} catch (error) {
  if (error.code !== 'EEXIST') throw error
  process.stdout.write('There is a secret already; it stays.\n')
}
