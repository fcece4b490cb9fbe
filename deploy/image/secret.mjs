/*
 * node secret.mjs <folder> [shared]: makes the secret of the tokens, once: <folder>/jwt, in a folder that is closed to others.
 * The file itself may be read by all, since a container that gets it alone runs as another user than the one who made it. Never changes one that is there.
 * What lies in `shared` may be read by all afterwards, whatever umask it was cloned with. A folder that root has made, as Docker does, gets the owner of `shared`.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, readdirSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const [folder = '/secrets', shared] = process.argv.slice(2)
const file = join(folder, 'jwt')

function makeSecret() {
  mkdirSync(folder, { recursive: true })
  chmodSync(folder, 0o700)
  // What Docker makes where a file is to be mounted that is not there: fails unless it is empty.
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
    // A key that lies beside it is for one user to read, and for nobody else.
    if (name.endsWith('.cfg')) chmodSync(join(shared, name), statSync(join(shared, name)).mode | 0o444)
  }
}

function giveAway() {
  const { uid, gid } = [folder, shared].map((path) => statSync(path)).find((stats) => stats.uid !== 0) ?? {}
  if (uid === undefined || process.getuid?.() !== 0) return
  for (const path of [file, folder]) chownSync(path, uid, gid)
}

try {
  const told = makeSecret()
  if (shared) {
    openShared()
    giveAway()
  }
  process.stdout.write(`${told}\n`)
} catch (error) {
  process.stderr.write(`No secret can be kept in ${folder}: ${error.message}. It has to be a folder that root may change.\n`)
  process.exitCode = 1
}
