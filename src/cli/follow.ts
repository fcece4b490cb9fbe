import { WebSocket } from 'ws'
import type { FinalProcessMessage } from '../client/process-view.js'
import { type JobWatch, watchJob } from '../client/watch-job.js'
import { watchProcesses } from '../client/watch-processes.js'
import type { Kind, Kinds } from '../core/kind.js'
import type { ProcessView } from '../protocol/process-messages.js'
import { CommandError, EXIT, exitOf } from './exit-code.js'
import { callHub, type HubAccess, socketUrl } from './hub-access.js'
import { ProcessDisplay } from './process-display.js'
import { ProgressDisplay } from './progress-display.js'

/** A job that is being watched. */
interface Following {
  /** The status that it ends with. Rejects where the watch ends before. */
  readonly ended: Promise<string>
  close(): void
}

/** A job as REST shows it: `result` is its final message. */
type Shown = ProcessView & { readonly result: FinalProcessMessage | null }

/**
 * Watches a job of any kind up to its end, on stdout: a live bar in a terminal, a line for each message elsewhere, JSON lines with `json`. Answers the exit
 * code that tells how it ended; that of the signal after Ctrl-C or SIGTERM, `interrupted` where nobody reads any more, and the job goes on. Throws `CommandError` where that cannot be told.
 */
export async function followJob(hub: HubAccess, id: string, json: boolean, kinds: Kinds): Promise<number> {
  const shown = (await callHub(hub, 'GET', `/api/processes/${encodeURIComponent(id)}`)) as Shown // as every hub shows it
  const kind = kinds.all.find(({ processType }) => processType === shown.process_type)
  const following = kind?.dialect === 'run' ? followRun(hub, kind, id, json) : followProcess(hub, shown, json, kind)
  const interrupted = new Promise<number>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.once(signal, () => {
        following.close()
        process.stderr.write(`The job goes on; "runcast watch ${id}" shows it again, "runcast cancel ${id}" ends it.\n`)
        resolve(exitOf(signal))
      })
    }
    process.stdout.once('error', () => resolve(EXIT.interrupted))
  })
  try {
    return await Promise.race([following.ended.then(codeOf), interrupted])
  } catch (error) {
    throw new CommandError(`runcast: ${error instanceof Error ? error.message : error}`, EXIT.unknown)
  } finally {
    following.close()
  }
}

function codeOf(status: string): number {
  if (status === 'completed') return EXIT.ok
  return status === 'cancelled' ? EXIT.cancelled : EXIT.failed
}

function followRun(hub: HubAccess, { path, display: hints }: Kind, id: string, json: boolean): Following {
  const display = new ProgressDisplay(process.stdout, hints)
  const watch = watchJob({
    url: socketUrl(hub, `/api/v2/ws/${path}/${encodeURIComponent(id)}`),
    token: () => hub.token,
    WebSocket,
    onMessage: (message, view) => (json ? printLine(message) : display.show(message, view)),
  })
  tellLosses(watch, display, json)
  const ended = watch.finished().then(({ status, final }) => {
    if (!json) display.finish(final)
    return status
  })
  return { ended, close: () => end(watch, display) }
}

/** Over the socket of all the user's jobs: a kind in the process dialect has none of its own. */
function followProcess(hub: HubAccess, { process_id: id, status, result }: Shown, json: boolean, kind?: Kind): Following {
  const display = new ProcessDisplay(process.stdout, kind?.display)
  // Of what ended long ago no socket tells the story.
  if (result !== null) {
    if (json) printLine(result)
    else display.finish(result)
    return { ended: Promise.resolve(status), close: () => {} }
  }
  const watch = watchProcesses({
    url: socketUrl(hub, '/ws'),
    token: () => hub.token,
    WebSocket,
    onMessage: (message, view) => {
      if (message.type === 'process_list' || message.process_id !== id) return
      const process = view.get(id)
      if (json) printLine(message)
      else if (process && message.type !== 'refused') display.show(message, process)
    },
  })
  tellLosses(watch, display, json)
  const follow = async () => {
    await watch.until(() => true)
    // What was told before this watch, and what a list leaves out.
    watch.subscribe(id, { fromStart: true })
    const view = await watch.until((processes) => Boolean(processes.get(id)?.final))
    const end = view.get(id)
    if (!json) display.finish(end?.final ?? null)
    return end?.status ?? status
  }
  return { ended: follow(), close: () => end(watch, display) }
}

/** Says once that the connection was lost, and why: a hub that refuses for now would look like a job that stands still. */
function tellLosses(watch: Pick<JobWatch, 'state' | 'subscribe'>, display: { note(text: string): void }, json: boolean): void {
  let wasOnline = true
  watch.subscribe(() => {
    const { status, reason } = watch.state
    if (status === 'reconnecting' && wasOnline) {
      const line = `No connection (${[reason?.code, reason?.reason].filter(Boolean).join(' ')}); trying again …`
      if (json) process.stderr.write(`${line}\n`)
      else display.note(line)
    }
    wasOnline = status !== 'reconnecting'
  })
}

/** A bar that was left in the middle gets its line end. */
function end(watch: { close(): void }, display: { finish(final: null): void }): void {
  watch.close()
  display.finish(null)
}

/** JSON escapes the other control characters by itself. */
function printLine(message: object): void {
  const json = JSON.stringify(message).replaceAll(/\p{Cc}/gu, (character) => `\\u00${character.charCodeAt(0).toString(16)}`)
  process.stdout.write(`${json}\n`)
}
