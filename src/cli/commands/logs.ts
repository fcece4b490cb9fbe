import { WebSocket } from 'ws'
import { createClient } from '../../client/create-client.js'
import type { NumberedLine } from '../../client/log-fold.js'
import { RuncastError } from '../../protocol/codes.js'
import { visibleText } from '../../protocol/visible-text.js'
import { defineCommand } from '../command.js'
import { EXIT } from '../exit-code.js'
import { HUB_OPTIONS, hubError, hubOf } from '../hub-access.js'
import { interruptible } from '../interruptible.js'
import { jsonLine } from '../plain-text.js'

const PAGE = 1000

/** Prints the log of a job. */
export const logs = defineCommand({
  about: 'Prints the log of a job of any kind.',
  operands: ['id'],
  options: {
    follow: { short: 'f', about: 'also prints new lines, up to the end of the job' },
    json: { about: 'each line as a line of JSON, with its number n' },
    ...HUB_OPTIONS,
  },
  notes: [
    'Control sequences of terminals are removed; other characters that are not visible are shown as their code.',
    'The log keeps the newest lines of the current execution (MAX_LOG_LINES, MAX_LOG_BYTES).',
  ],
  run: async ({ id }, given) => {
    const hub = hubOf('logs', given)
    const client = createClient({ ...hub, WebSocket })
    const print = (line: NumberedLine) => process.stdout.write(`${given.json ? jsonLine(line) : visibleText(line.text)}\n`)
    const read = async (signal: AbortSignal) => {
      if (given.follow) for await (const line of client.job(id).log({ signal })) print(line)
      else for (const line of await keptLines(client, id)) print(line)
      return EXIT.ok
    }
    try {
      return await interruptible('', read)
    } catch (error) {
      throw error instanceof RuncastError ? hubError(error) : error
    } finally {
      await client.close()
    }
  },
})

/** All lines that are kept, read from the newest page back. A log that begins anew meanwhile is read from its end. */
async function keptLines(client: ReturnType<typeof createClient>, id: string): Promise<NumberedLine[]> {
  const pages: (readonly NumberedLine[])[] = []
  const job = client.job(id)
  let page = await job.logPage({ limit: PAGE })
  for (;;) {
    pages.unshift(page.lines)
    if (page.nextBefore === null) return pages.flat()
    const older = await job.logPage({ limit: PAGE, before: page.nextBefore })
    if (older.epoch !== page.epoch) return keptLines(client, id)
    page = older
  }
}
