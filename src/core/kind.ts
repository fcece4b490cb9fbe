import type { TObject, TSchema } from 'typebox'
import type { Clears, JobEvent } from './entry.js'
import type { JobRecord } from './job-record.js'
import type { Lifecycle } from './lifecycle.js'
import type { ProcessReportEvents, RunReportEvents } from './report-events.js'
import type { Setting } from './setting.js'

/** What a kind speaks: `run`, with sockets and a place in the REST interface of its own, or `process`, on `/ws` and `/api/processes` alone. */
export type KindDialect = 'run' | 'process'

/** A number, or the setting that says it. */
export type NumberOrSetting = number | { readonly setting: string }

/** What is wrong with an input: the path of the field, and what is expected there. */
export interface InputIssue {
  readonly path: string
  readonly expected: string
}

/** How people are shown a job of the kind where it is shown as text. */
export interface KindDisplay {
  /** The result as lines of text; null where it is none of this kind, such as one of a later version. */
  readonly result?: (result: unknown) => string | null
  /** A line for a message of the kind's own; null for none. `isTerminal`: people look at a bar below it, so that not each message is worth a line. */
  readonly line?: (message: { readonly type: string }, isTerminal: boolean) => string | null
}

/**
 * The contract of a kind of job: all that hubs, programs and pages know of it. It computes nothing and imports nothing that does; `implement` joins it with what
 * computes. A value that never changes, made by `defineKind`.
 */
export interface Kind {
  /** Names the kind, its queue, and its jobs in the store. */
  readonly name: string
  readonly dialect: KindDialect
  /** Names the kind in the process dialect. */
  readonly processType: string
  /** Names the job where it is addressed by its kind. */
  readonly idField: string
  /** Place in the REST interface of a kind with the run dialect; null for one that speaks the process dialect alone. */
  readonly path: string | null
  /** Where a job is submitted; `isFlat`: the fields of the input stand beside its id in the body, and not in `input`. Null: with all others of its dialect. */
  readonly submission: { readonly path: string; readonly isFlat: boolean } | null
  readonly input: TObject
  /** Its own solvers; the first one where a submit names none. Configured ones compute the kinds that have any. */
  readonly solvers: readonly string[]
  /** Automatic tries of one round. */
  readonly attempts: number
  /** How long a round may take where its submit does not say, in seconds. */
  readonly timeoutS: NumberOrSetting
  /** Jobs that one worker process computes at a time. */
  readonly concurrency: NumberOrSetting
  /**
   * Whether no worker holds it while it runs: it is made of other jobs, and goes on by a step whenever one of them has ended. Any other is computed by one
   * worker from its start to its end.
   */
  readonly inSteps: boolean
  /** Settings of its own, by name. */
  readonly settings: Readonly<Record<string, Setting<unknown>>>
  /** The events of its life. */
  readonly events: Lifecycle
  /** What its processor may report, as events; null for a kind in steps, which has none. `last`: the progress that the attempt has reached so far. */
  readonly reports: ((id: string, last: object) => RunReportEvents | ProcessReportEvents) | null
  /** What a worker over HTTP may post of a claimed job: a schema for each type of event. Null: its jobs are not claimed. */
  readonly claimEvents: Readonly<Record<string, TSchema>> | null
  /** Keys of its own events that are void in a new attempt, or a new round. */
  readonly clears: Readonly<Record<Clears, readonly string[]>>
  readonly display: KindDisplay
  /** What is wrong with an input that its schema cannot say. `solvers`: those that are configured. */
  inputIssues(input: unknown, solvers: readonly string[]): readonly InputIssue[]
  /** The last-known state as the message that opens a socket; of the run dialect, else null. */
  readonly snapshot: ((state: JobRecord) => Readonly<Record<string, unknown>>) | null
  /** Fields of the snapshot that a list leaves out. */
  readonly hiddenInLists: readonly string[]
  /** How far a message of the run dialect says that the job is, in steps; null where its percent says that. */
  steps(message: Readonly<Record<string, unknown>>): { readonly current: number; readonly total: number } | null
}

/** Further keys that this kind clears where a new attempt or round is opened. A new round clears what a new attempt does. */
export function clearedKeysOf(kind: Kind, clears: Clears): readonly string[] {
  return clears === 'round' ? [...kind.clears.attempt, ...kind.clears.round] : kind.clears.attempt
}

/** An event as the one that opens the next attempt or round: it says all that is void from then on. */
export function opening(clears: Clears, kind: Kind, event: JobEvent): JobEvent {
  return { ...event, clears, clearedKeys: clearedKeysOf(kind, clears) }
}

/** The queue of the workers that can compute a job: one a kind, and one for each solver that is not built in. */
export function queueOf({ kind, solver }: { readonly kind: Pick<Kind, 'name'>; readonly solver: string | null }): string {
  return solver === null ? kind.name : `${kind.name}.${solver}`
}

/** Names that mean something else where a kind's name or path stands: keys of a user in Redis; what a list and the sockets have beside the jobs. */
const RESERVED = { name: ['active', 'ended', 'count', 'live'], path: ['ws', 'cursor'], idField: ['process_id'] } as const

/** The kinds that a hub, a worker or a program knows. It never changes. */
export class Kinds {
  readonly all: readonly Kind[]
  readonly #byName: ReadonlyMap<string, Kind>

  /** Throws `TypeError` where two kinds have a name, a path or a field in common, or one has a name that is reserved. The same kind may be there twice. */
  constructor(kinds: readonly Kind[]) {
    this.all = [...new Set(kinds)]
    this.#byName = new Map(this.all.map((kind) => [kind.name, kind]))
    for (const [i, kind] of this.all.entries()) {
      const others = this.all.slice(0, i)
      const names = others.flatMap(({ name, processType }) => [name, processType])
      mustBeFree('name', kind.name, [...names, ...RESERVED.name])
      mustBeFree('processType', kind.processType, [...names, ...RESERVED.name])
      if (kind.path === null) continue
      mustBeFree('path', kind.path, [...others.map(({ path }) => path), ...RESERVED.path])
      mustBeFree('idField', kind.idField, [...others.map(({ idField }) => idField), ...RESERVED.idField])
    }
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()]
  }

  find(name: string): Kind | undefined {
    return this.#byName.get(name)
  }

  /** Throws `TypeError` for a kind that is not known. */
  get(name: string): Kind {
    const kind = this.#byName.get(name)
    if (!kind) throw new TypeError(`unknown kind ${name}: there are ${this.names.join(', ')}`)
    return kind
  }

  /** Those that configured solvers may compute. */
  get solved(): readonly Kind[] {
    return this.all.filter(({ solvers }) => solvers.length > 0)
  }

  /** Those whose jobs workers over HTTP may claim. */
  get claimable(): readonly Kind[] {
    return this.all.filter(({ claimEvents }) => claimEvents !== null)
  }
}

function mustBeFree(field: string, text: string, taken: readonly (string | null)[]): void {
  if (taken.includes(text)) throw new TypeError(`${field}: ${text} is taken by another kind of job, or reserved`)
}
