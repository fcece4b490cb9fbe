import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { shellUnder } from '../support/documents.js'
import type { EngineStack } from './engine-stack.js'
import { say } from './shell.js'

/** A stream is watched until it has told the end: Ctrl-C ends it where a person looks at it. */
function untilCompleted(line: string): string {
  return line.startsWith('curl -N') ? `(${line} || true) | sed '/"type":"completed"/q'` : line
}

/** The commands of docs/operate/compose.md, one after the other, in a clone that is closed to others. Afterwards there is one unit of each service. */
export async function readme(t: Test, stack: EngineStack): Promise<void> {
  const lines = shellUnder('docs/operate/compose.md', 'Start')
  const ofUse = lines.findIndex((line) => line.startsWith('TOKEN='))
  let begun = Date.now()
  const seconds = () => ((Date.now() - begun) / 1000).toFixed(0)
  await stack.shell(lines.slice(0, 1), 900_000)
  const bytes = await stack.imageSize()
  say(`the image has ${(bytes / 1e6).toFixed(0)} MB, built in ${seconds()} s`)
  t.ok(bytes < 400e6)

  begun = Date.now()
  await stack.shell(lines.slice(1, ofUse))
  await stack.healthy()
  say(`all services healthy after ${seconds()} s`)
  const [clone, secrets] = await Promise.all(['.', '.secrets'].map((path) => stat(join(stack.folder, path))))
  t.equal(secrets?.uid, clone?.uid, 'the secret belongs to whoever has the clone')
  t.equal((secrets?.mode ?? 0) & 0o777, 0o700)

  const printed = await stack.shell(lines.slice(ofUse).map(untilCompleted))
  t.match(printed, /"run_id":"horn-1","status":"queued"/, 'submitted')
  t.match(printed, /"type":"completed","run_id":"horn-1"/, 'watched to its end')
  await stack.healthy()
  t.same([(await stack.units('hub')).length, (await stack.units('solver')).length], [3, 4], 'scaled')
  await stack.scale('solver', 1)
  await stack.scale('hub', 1)
}
