import { setTimeout as sleep } from 'node:timers/promises'
import { type Entry, Ledger } from './ledger.js'
import type { Rest } from './rest.js'
import type { Watcher } from './watchers.js'

/** How the type of a final message is called as a state. */
const FINAL: Readonly<Record<string, string>> = { completed: 'completed', error: 'failed', cancelled: 'cancelled' }
const RECONNECT_MS = 300

/** One run over a plain stream of server-sent events, without any client of ours: resumed by the id of its last event, as an EventSource does. */
export function streamRun(url: string, rest: Rest, id: string): Watcher {
  const path = `/api/v2/runs/${id}`
  const ledger = new Ledger((after, upTo) => rest.log(path, after, upTo))
  const closing = new AbortController()
  let connects = 0
  let state: { status: string; seq: number } | null = null
  let lastEventId = ''
  let isResumed = false

  const take = (message: Entry) => {
    const { type, seq, epoch, recovered } = message
    if (seq === undefined) return
    if (typeof recovered === 'boolean') ledger.snapshot({ seq, epoch: `${epoch}`, recovered, isResumed })
    else ledger.entry(message)
    const status = FINAL[type]
    if (status) state = { status, seq }
  }
  const connect = async () => {
    const headers = {
      accept: 'text/event-stream',
      authorization: `Bearer ${rest.token}`,
      ...(lastEventId && { 'last-event-id': lastEventId }),
    }
    isResumed = lastEventId !== ''
    const response = await fetch(`${url}${path}/events`, { headers, signal: closing.signal })
    connects += 1
    for await (const block of blocksOf(response)) {
      if (block.id !== undefined) lastEventId = block.id
      if (block.data !== undefined && block.event === undefined) take(JSON.parse(block.data))
      if (state) return
    }
  }
  const follow = async () => {
    while (!state && !closing.signal.aborted) {
      // Whatever ends a stream, it is asked for again.
      await connect().catch(() => {})
      if (!state) await sleep(RECONNECT_MS)
    }
  }
  const over = follow()
  return {
    finished: () => over,
    told: () => [{ client: 'raw SSE', path, rest, ledger, state }],
    close: () => closing.abort(),
    get connects() {
      return connects
    },
  }
}

/** The events of a stream, each by its fields. */
async function* blocksOf(response: Response): AsyncGenerator<Readonly<Record<string, string>>> {
  if (!response.ok || !response.body) throw new Error(`${response.status}`)
  let rest = ''
  const decoder = new TextDecoder()
  for await (const chunk of response.body) {
    const blocks = (rest + decoder.decode(chunk, { stream: true })).split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const fields = block.split('\n').map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)])
      yield Object.fromEntries(fields)
    }
  }
}
