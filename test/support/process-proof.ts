import type { Message } from './test-client.js'

const FINALS = ['process_completed', 'process_failed', 'process_cancelled']

/** Message types that concern no process and may arrive at any time. */
const NO_NEWS = ['authenticated', 'pong', 'refused', 'drain', 'token_expiring']

/** Position of a client in one process. */
interface Place {
  epoch: string | undefined
  last: number
  /** End of the replay after a `subscribed`. */
  replayUpTo: number
  replayed: number
  hasEnded: boolean
}

/**
 * Checks [POS-2] and [POS-3] over all messages of a client of `/ws`, separately per process; `process_list` and
 * `subscribed` set positions. Also throws for a message after the final one without another round, and for a process
 * that starts neither with a position nor with its first entry. Returns the last seq of each process.
 */
export function proveProcesses(messages: readonly Message[]): Map<string, number> {
  const places = new Map<string, Place>()
  const setAt = (view: Message, replays: boolean) => {
    const hasEnded = view.finished_at !== null
    const replayUpTo = replays ? view.seq : 0
    places.set(view.process_id, { epoch: view.epoch, last: view.seq, replayUpTo, replayed: 0, hasEnded: hasEnded && !replays })
  }
  const [first] = messages.filter(({ type }) => !NO_NEWS.includes(type))
  if (first && first.type !== 'process_list') throw new Error(`the list comes first, not ${JSON.stringify(first)}`)
  for (const message of messages) {
    if (message.type === 'process_list') for (const view of [...message.processes, ...message.recent]) setAt(view, false)
    else if (message.type === 'subscribed') setAt(message.process, true)
    else if (typeof message.seq === 'number') step(places, message)
  }
  return new Map([...places].map(([id, { last }]) => [id, last]))
}

function step(places: Map<string, Place>, message: Message): void {
  const { process_id: id, type, seq } = message
  const prev = message.prev ?? seq - 1
  const place = places.get(id) ?? { epoch: undefined, last: 0, replayUpTo: 0, replayed: 0, hasEnded: false }
  places.set(id, place)
  const fault = (what: string) => new Error(`${id}: after ${JSON.stringify(place)} ${what}: ${JSON.stringify(message)}`)
  if (seq <= place.replayUpTo && place.last === place.replayUpTo) {
    if (seq <= place.replayed) throw fault('a replay out of order')
    place.replayed = seq
  } else {
    if (!(prev <= place.last && place.last < seq)) throw fault('what cannot follow')
    if (place.hasEnded && type !== 'process_queued') throw fault('something after the end')
    place.last = seq
  }
  place.hasEnded = FINALS.includes(type)
}

/** The last list. */
export function listOf({ messages }: { readonly messages: readonly Message[] }): Message {
  return messages.findLast(({ type }) => type === 'process_list')
}

export function idsOf(views: readonly Message[]): string[] {
  return views.map(({ process_id }) => process_id)
}
