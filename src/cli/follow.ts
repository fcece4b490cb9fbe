import { WebSocket } from 'ws'
import { type HubAccess, socketsOf } from '../client/hub-access.js'
import type { SocketAccess } from '../client/job-events.js'
import type { FinalProcessMessage } from '../client/process-view.js'
import { type JobWatch, watchJob } from '../client/watch-job.js'
import { watchProcesses } from '../client/watch-processes.js'
import type { Kind, Kinds } from '../core/kind.js'
import type { ProcessView } from '../protocol/process-messages.js'
import { CommandError, EXIT } from './exit-code.js'
import { callHub } from './hub-access.js'
import { interruptible } from './interruptible.js'
import { jsonLine } from './plain-text.js'
import { ProcessDisplay } from './process-display.js'
import { ProgressDisplay } from './progress-display.js'

/** A job that is being watched. */
interface Following {
  /** The final status. Rejects if the watch ends earlier. */
  readonly ended: Promise<string>
  close(): void
}

/** A job as REST returns it. `result` is its final message. */
type Shown = ProcessView & { readonly result: FinalProcessMessage | null }

/** The note that an interrupted watch prints. */
export function continues(id: string): string {
  return `The job continues; "runcast watch ${id}" shows it again, "runcast cancel ${id}" ends it.`
}

/**
 * Watches a job of any kind until it ends, on stdout: a live bar in a terminal, else a line per message, or JSON lines
 * with `json`. Resolves to the exit code for the outcome of the job. Throws `CommandError` if it is interrupted, or the
 * outcome is unknown; the job continues.
 */
export async function followJob(hub: HubAccess, id: string, json: boolean, kinds: Kinds): Promise<number> {
  return interruptible(continues(id), async (stopped) => {
    // As every hub returns it.
    const shown = (await callHub(hub, 'GET', `/api/processes/${encodeURIComponent(id)}`)) as Shown
    const kind = kinds.all.find(({ processType }) => processType === shown.process_type)
    const sockets = socketsOf(hub, WebSocket)
    const following = kind?.dialect === 'run' ? followRun(sockets, kind, id, json) : followProcess(sockets, shown, json, kind)
    stopped.addEventListener('abort', () => following.close())
    try {
      return codeOf(await following.ended)
    } catch (error) {
      throw new CommandError(`runcast: ${error instanceof Error ? error.message : error}`, EXIT.unknown, error)
    }
  })
}

function codeOf(status: string): number {
  if (status === 'completed') return EXIT.ok
  return status === 'cancelled' ? EXIT.cancelled : EXIT.failed
}

function followRun({ url, ...access }: SocketAccess, { path, display: hints }: Kind, id: string, json: boolean): Following {
  const display = new ProgressDisplay(process.stdout, hints)
  const watch = watchJob({
    ...access,
    url: url(`/api/v2/ws/${path}/${encodeURIComponent(id)}`),
    onMessage: (message, view) => (json ? printLine(message) : display.show(message, view)),
  })
  reportLosses(watch, display, json)
  const ended = watch.finished().then(({ status, final }) => {
    if (!json) display.finish(final)
    return status
  })
  return { ended, close: () => end(watch, display) }
}

/** Uses the socket of all the user's jobs: a job in the process dialect has no socket of its own. */
function followProcess({ url, ...access }: SocketAccess, { process_id: id, status, result }: Shown, json: boolean, kind?: Kind): Following {
  const display = new ProcessDisplay(process.stdout, kind?.display)
  // No socket replays a job that has ended.
  if (result !== null) {
    if (json) printLine(result)
    else display.finish(result)
    return { ended: Promise.resolve(status), close: () => {} }
  }
  const watch = watchProcesses({
    ...access,
    url: url('/ws'),
    onMessage: (message, view) => {
      if (message.type === 'process_list' || message.process_id !== id) return
      const process = view.get(id)
      if (json) printLine(message)
      else if (process && message.type !== 'refused') display.show(message, process)
    },
  })
  reportLosses(watch, display, json)
  const follow = async () => {
    await watch.until(() => true)
    // Messages sent before this watch, which a list omits.
    watch.subscribe(id, { fromStart: true })
    const view = await watch.until((processes) => Boolean(processes.get(id)?.final))
    const end = view.get(id)
    if (!json) display.finish(end?.final ?? null)
    return end?.status ?? status
  }
  return { ended: follow(), close: () => end(watch, display) }
}

/**
 * Reports each loss of the connection once, with the reason. Otherwise a hub that rejects connections for now would
 * look like a job without progress.
 */
function reportLosses(watch: Pick<JobWatch, 'state' | 'subscribe'>, display: { note(text: string): void }, json: boolean): void {
  let wasOnline = true
  watch.subscribe(() => {
    const { status, reason } = watch.state
    if (status === 'reconnecting' && wasOnline) {
      const line = `No connection (${[reason?.code, reason?.reason].filter(Boolean).join(' ')}); reconnecting …`
      if (json) process.stderr.write(`${line}\n`)
      else display.note(line)
    }
    wasOnline = status !== 'reconnecting'
  })
}

/** An unfinished bar gets a line end. */
function end(watch: { close(): void }, display: { finish(final: null): void }): void {
  watch.close()
  display.finish(null)
}

function printLine(message: object): void {
  process.stdout.write(`${jsonLine(message)}\n`)
}
