import { WebSocket } from 'ws'
import { type JobView, type ProcessesWatch, watchJob, watchProcesses } from '../../src/client/index.js'
import { eventually } from '../support/eventually.js'
import { Ledger } from './ledger.js'
import type { Rest } from './rest.js'

/** What a client has of one job at its end. */
export interface Told {
  readonly client: string
  readonly path: string
  readonly rest: Rest
  readonly ledger: Ledger
  /** The final state as this client has folded it; of one that folds nothing, status and seq. */
  readonly state: Readonly<Record<string, unknown>> | null
}

export interface Watcher {
  /** Resolves once it has the final message of what it watches. */
  finished(): Promise<void>
  told(): Told[]
  close(): void
  readonly connects: number
}

/** Until all that was submitted has been computed. */
const LONGEST_MS = 600_000

/** A WebSocket class that counts its connections, and notes for which job a client has said where it is: by the address ('') or in a message. */
function counted() {
  const count = { connects: 0, resumed: new Set<string>() }
  class Counted extends WebSocket {
    constructor(url: string) {
      super(url)
      count.connects += 1
      note('', url.includes('after='))
    }

    override send(text: string): void {
      const { type, process_id: id, after } = JSON.parse(text)
      if (type === 'subscribe') note(id, after !== undefined)
      super.send(text)
    }
  }
  const note = (id: string, isResumed: boolean) => count.resumed[isResumed ? 'add' : 'delete'](id)
  return { count, Counted }
}

/** One run, by `watchJob`. */
export function watchRun(url: string, rest: Rest, id: string, onView: (view: JobView) => void = () => {}): Watcher {
  const { count, Counted } = counted()
  const path = `/api/v2/runs/${id}`
  const ledger = new Ledger((after, upTo) => rest.log(path, after, upTo))
  const watch = watchJob({
    url: `${url.replace('http', 'ws')}/api/v2/ws/runs/${id}`,
    token: () => rest.token,
    WebSocket: Counted,
    onMessage: (message, view) => {
      if ('recovered' in message) ledger.snapshot({ ...message, recovered: message.recovered === true, isResumed: count.resumed.has('') })
      else if ('seq' in message) ledger.entry({ ...message })
      onView(view)
    },
  })
  return {
    finished: async () => {
      await watch.finished()
    },
    told: () => [{ client: 'watchJob', path, rest, ledger, state: watch.view }],
    close: () => watch.close(),
    get connects() {
      return count.connects
    },
  }
}

/** All processes of a user, by `watchProcesses`. */
export function watchUser(url: string, rest: Rest, isOver: (view: ProcessesWatch['view']) => boolean): Watcher {
  const { count, Counted } = counted()
  const ledgers = new Map<string, Ledger>()
  const pathOf = (id: string) => `/api/processes/${id}`
  const ledgerOf = (id: string) => {
    const ledger = ledgers.get(id) ?? new Ledger((after, upTo) => rest.log(pathOf(id), after, upTo))
    ledgers.set(id, ledger)
    return ledger
  }
  let hasList = false
  // The first list is the state to begin with; what a later one is ahead of is asked for by the client.
  const takeFirst = (listed: readonly { readonly process_id: string; readonly seq: number; readonly epoch: string }[]) => {
    if (!hasList)
      for (const { process_id: id, seq, epoch } of listed) ledgerOf(id).snapshot({ seq, epoch, recovered: false, isResumed: false })
    hasList = true
  }
  const watch = watchProcesses({
    url: `${url.replace('http', 'ws')}/ws`,
    token: () => rest.token,
    WebSocket: Counted,
    onMessage: (message) => {
      if (message.type === 'subscribed')
        ledgerOf(message.process_id).snapshot({ ...message, isResumed: count.resumed.has(message.process_id) })
      else if (message.type === 'process_list') takeFirst([...message.processes, ...message.recent])
      else if (message.type !== 'refused') ledgerOf(message.process_id).entry({ ...message })
    },
  })
  return {
    finished: async () => {
      await eventually(() => isOver(watch.view), { timeoutMs: LONGEST_MS, everyMs: 200 })
    },
    told: () =>
      [...ledgers].map(([id, ledger]) => ({
        client: 'watchProcesses',
        path: pathOf(id),
        rest,
        ledger,
        state: watch.view.get(id) ?? null,
      })),
    close: () => watch.close(),
    get connects() {
      return count.connects
    },
  }
}
