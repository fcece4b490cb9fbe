import { createWriteStream } from 'node:fs'
import { access, rename, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { downloadFrom } from '../../client/download.js'
import { isArtifactName } from '../../protocol/artifact.js'
import { RuncastError } from '../../protocol/codes.js'
import { defineCommand, usageError } from '../command.js'
import { CommandError, EXIT } from '../exit-code.js'
import { callHub, HUB_OPTIONS, hubError, hubOf } from '../hub-access.js'
import { jsonLine } from '../plain-text.js'
import { tableOf } from '../table.js'

interface Listed {
  readonly name: string
  readonly media_type: string
  readonly bytes: number | null
  readonly url: string
}

/** Lists the artifacts of a job, or downloads one. */
export const artifacts = defineCommand({
  about: 'Lists the artifacts of a job of any kind, or downloads one.',
  operands: ['id'],
  optional: ['name'],
  options: {
    output: { value: '<file>', short: 'o', about: 'file for the artifact; - for stdout; default: its name, unless such a file exists' },
    json: { about: 'the list as a line of JSON' },
    ...HUB_OPTIONS,
  },
  notes: ['A download that breaks off continues where it was.'],
  run: async ({ id, name }, given) => {
    const hub = hubOf('artifacts', given)
    const path = `/api/jobs/${encodeURIComponent(id)}/artifacts`
    if (name !== undefined) return download(() => downloadFrom(hub, `${path}/${encodeURIComponent(name)}`), name, given.output)
    const { artifacts } = (await callHub(hub, 'GET', path)) as { artifacts: readonly Listed[] } // as every hub answers
    process.stdout.write(given.json ? `${jsonLine(artifacts)}\n` : listOf(artifacts))
    return EXIT.ok
  },
})

export function listOf(artifacts: readonly Listed[]): string {
  return tableOf(
    ['name', 'bytes', 'type'],
    artifacts.map(({ name, bytes, media_type, url }) => [name, bytes ?? 'link', bytes === null ? url : media_type]),
  )
}

/** A file appears when it is complete. */
async function download(content: () => AsyncIterable<Uint8Array>, name: string, output: string | undefined): Promise<number> {
  if (!isArtifactName(name)) throw usageError('artifacts', 'name: expected 1 to 128 of A-Z a-z 0-9 . _ -')
  const file = output ?? name
  if (output === undefined && (await exists(file)))
    throw new CommandError(`runcast: ${file} exists; name another file with --output`, EXIT.failed)
  const part = `${file}.part`
  try {
    if (file === '-') await pipeline(content(), process.stdout, { end: false })
    else {
      await pipeline(content(), createWriteStream(part))
      await rename(part, file)
    }
    return EXIT.ok
  } catch (error) {
    if (file !== '-') await rm(part, { force: true })
    if (error instanceof RuncastError) throw hubError(error)
    throw new CommandError(`runcast: ${error instanceof Error ? error.message : error}`, EXIT.failed)
  }
}

async function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  )
}
