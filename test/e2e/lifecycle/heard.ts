import type { Digests, Telemetry } from './telemetry-record.js'

/** What is kept of a message that a client was given about one job. */
export interface Told {
  readonly type: string
  readonly seq: number
  /** Of a snapshot, which sets the position: whether exactly what was missed follows. */
  readonly recovered?: boolean
  /** Of a snapshot, and of the first message of a process that is told from its log. */
  readonly epoch?: string
}

/** What one client was told of one job. */
export interface Heard {
  readonly who: string
  readonly dialect: 'run' | 'process'
  readonly told: readonly Told[]
  /** Seq up to which it listened; without it, to the end. */
  readonly upTo?: number
  /** Its view in the end, to be compared with the stored state; null where it has none of its own. */
  readonly view: Readonly<Record<string, unknown>> | null
  /** What it has in the end of that which it asked for. */
  readonly telemetry?: Partial<Telemetry> & { readonly isComplete?: boolean; readonly artifacts?: Digests }
}

interface Message {
  readonly type: string
  readonly seq: number
  readonly recovered?: boolean
  readonly epoch?: string
}

/** Few fields, since a long run keeps a million of them. */
export function messagesOf({ type, seq, recovered, epoch }: Message): Told {
  return { type, seq, ...(recovered !== undefined && { recovered }), ...(epoch !== undefined && { epoch }) }
}
