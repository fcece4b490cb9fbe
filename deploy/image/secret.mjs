/*
 * node secret.mjs <folder> [shared]: creates the secret of the tokens, <folder>/jwt, unless it exists. The folder is
 * closed to other users. The file is readable by all, because the container that mounts it alone runs as another user.
 * Files in `shared` become readable by all, whatever the umask of the clone. A folder that root has created, as Docker
 * does, gets the owner of `shared`.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [folder = '/secrets', shared] = process.argv.slice(2)
const file = join(folder, 'jwt')

function makeSecret() {
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o700)
  // Docker creates a folder here if the mounted file was missing. Fails unless it is empty.
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) rmdirSync(file)
  try {
    writeFileSync(file, `${randomBytes(48).toString('base64url')}\n`, { flag: 'wx', mode: 0o444 })
    chmodSync(file, 0o444)
    return 'The secret has been made.'
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    return 'There is a secret already; it stays.'
  }
}

function openShared() {
  chmodSync(shared, statSync(shared).mode | 0o555)
  for (const name of readdirSync(shared)) {
    // Private keys beside it stay closed to other users.
    if (name.endsWith('.cfg')) chmodSync(join(shared, name), statSync(join(shared, name)).mode | 0o444)
  }
}

function giveAway() {
  const { uid, gid } = [folder, shared].map((path) => statSync(path)).find((stats) => stats.uid !== 0) ?? {}
  if (uid === undefined || process.getuid?.() !== 0) return
  for (const path of [file, folder]) chownSync(path, uid, gid)
}

try {
  const message = makeSecret()
  if (shared) {
    openShared()
    giveAway()
  }
  process.stdout.write(`${message}\n`)
} catch (error) {
  process.stderr.write(`No secret can be kept in ${folder}: ${error.message}. It has to be a folder that root may change.\n`)
  process.exitCode = 1
}
