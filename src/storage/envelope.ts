import type { Clears, Entry, EntryClass } from '../core/entry.js'
import { isStatus } from '../protocol/status.js'

const CLASSES: Readonly<Record<string, EntryClass>> = { t: 'transient', d: 'persisted', f: 'final' }
const CLEARS: Readonly<Record<string, Clears>> = { a: 'attempt', r: 'round' }
const NEWLINE = 0x0a

/**
 * Parses `<generation> <seq> <class> <clears> <to> <key>\
 * <body>`: one header line, then the bytes of the message, which are not parsed. Throws `TypeError` for anything else.
 */
export function readEnvelope(id: string, envelope: Buffer): Entry {
  const end = envelope.indexOf(NEWLINE)
  const [generation = '', seq = '', classCode = '', clearsCode = '', to = '', key = ''] = envelope.toString('latin1', 0, end).split(' ')
  const entryClass = CLASSES[classCode]
  if (end < 0 || !entryClass || key === '') throw new TypeError(`stored data of job ${id} is not an entry`)
  const clears = CLEARS[clearsCode]
  return {
    id,
    generation,
    seq: Number(seq),
    class: entryClass,
    key,
    ...(isStatus(to) && { to }),
    ...(clears && { clears }),
    body: envelope.subarray(end + 1),
  }
}
