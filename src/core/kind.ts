import type { TObject, TProperties, TSchema } from 'typebox'
import type { Clears, JobEvent } from './entry.js'
import type { Eta } from './eta.js'
import type { JobRecord } from './job-record.js'
import type { Lifecycle } from './lifecycle.js'
import type { ProcessReportEvents, RunReportEvents } from './report-events.js'
import type { Setting } from './setting.js'

/** `run`: sockets and REST paths of its own. `process`: `/ws` and `/api/processes` only. */
export type KindDialect = 'run' | 'process'

/** A number, or the setting that holds it. */
export type NumberOrSetting = number | { readonly setting: string }

/** A fault of an input: the path of the field (JSON Pointer), and what is expected. */
export interface InputIssue {
  readonly path: string
  readonly expected: string
}

/** How a job of the kind is shown as text. */
export interface KindDisplay {
  /** The result as lines of text; null for a result of another shape, such as that of a later version. */
  readonly result?: (result: unknown) => string | null
  /** A line for a message of the kind's own; null for none. `isTerminal`: a progress bar is shown below. */
  readonly line?: (message: { readonly type: string }, isTerminal: boolean) => string | null
}

/**
 * The contract of a kind of job: everything that hubs, programs and pages know of it. It computes nothing and imports
 * no computation; `implement` adds that. Immutable; made by `defineKind`.
 */
export interface Kind {
  /** Name of the kind and of its queue; part of its Redis keys. */
  readonly name: string
  readonly dialect: KindDialect
  /** Name of the kind in the process dialect. */
  readonly processType: string
  /** The field that holds the job id in messages. */
  readonly idField: string
  /** REST path of a kind with the run dialect; null with the process dialect. */
  readonly path: string | null
  /**
   * Where jobs are submitted; null: the shared path. `isFlat`: the body holds the fields of the input beside the id.
   */
  readonly submission: { readonly path: string; readonly isFlat: boolean } | null
  readonly input: TObject
  /** Built-in solvers, the default first. Configured solvers can compute only kinds that have a built-in one. */
  readonly solvers: readonly string[]
  /** Maximum attempts per execution. */
  readonly attempts: number
  /** Default time limit of an execution, in seconds. */
  readonly timeoutS: NumberOrSetting
  /** Concurrent jobs per worker process. */
  readonly concurrency: NumberOrSetting
  /** Whether a job runs in steps: it consists of child jobs and holds no worker. A step runs when a child job ends. */
  readonly inSteps: boolean
  /** Whether only workers over HTTP compute it: by default, no worker process waits for its jobs. */
  readonly external: boolean
  /** Settings of the kind, by name. */
  readonly settings: Readonly<Record<string, Setting<unknown>>>
  /** Builders of its lifecycle events. */
  readonly events: Lifecycle
  /** Schemas of its messages by type, as its events build them: without the position that the store adds. */
  readonly messages: Readonly<Record<string, TObject>>
  /** Fields of its snapshot beside `SnapshotFields`; only in the run dialect. */
  readonly snapshotExtras: TProperties
  /**
   * Builders of its reports; null for a kind in steps. `last`: the progress of the attempt so far. `eta`: what is known
   * of its speed.
   */
  readonly reports: ((id: string, last: object, eta?: Eta) => RunReportEvents | ProcessReportEvents) | null
  /** Events that a worker over HTTP may post, as schemas by type; null: jobs of the kind cannot be claimed. */
  readonly claimEvents: Readonly<Record<string, TSchema>> | null
  /** The result that the fields of a `completed` event of a worker over HTTP stand for. */
  claimedResult(fields: Readonly<Record<string, unknown>>): unknown
  /** Further keys that a new attempt or a new execution clears. */
  readonly clears: Readonly<Record<Clears, readonly string[]>>
  readonly display: KindDisplay
  /** Issues of an input that a schema cannot express. `solvers`: names of the configured solvers. */
  inputIssues(input: unknown, solvers: readonly string[]): readonly InputIssue[]
  /** The snapshot message of a state; null with the process dialect. */
  readonly snapshot: ((state: JobRecord) => Readonly<Record<string, unknown>>) | null
  /** Fields of the snapshot that lists omit. */
  readonly hiddenInLists: readonly string[]
  /** Progress of a message of the run dialect in steps; null if it has percent only. */
  steps(message: Readonly<Record<string, unknown>>): { readonly current: number; readonly total: number } | null
}

/** Further keys that this kind clears. A new execution clears those of a new attempt too. */
export function clearedKeysOf(kind: Kind, clears: Clears): readonly string[] {
  return clears === 'round' ? [...kind.clears.attempt, ...kind.clears.round] : kind.clears.attempt
}

/** The event that opens the next attempt or execution, with the keys that it clears. */
export function opening(clears: Clears, kind: Kind, event: JobEvent): JobEvent {
  return { ...event, clears, clearedKeys: clearedKeysOf(kind, clears) }
}

/** Name of the queue of a job: one per kind, and one per configured solver. */
export function queueOf({ kind, solver }: { readonly kind: Pick<Kind, 'name'>; readonly solver: string | null }): string {
  return solver === null ? kind.name : `${kind.name}.${solver}`
}

/** Reserved names: suffixes of a user's Redis keys, and segments of URLs. */
const RESERVED = { name: ['active', 'ended', 'count', 'live'], path: ['ws', 'cursor'], idField: ['process_id'] } as const

/** The registered kinds of a hub, a worker or a program. Immutable. */
export class Kinds {
  readonly all: readonly Kind[]
  readonly #byName: ReadonlyMap<string, Kind>

  /**
   * Throws `TypeError` if two kinds share a name, path, id field or setting, or if one is reserved. Duplicates are
   * ignored.
   */
  constructor(kinds: readonly Kind[]) {
    this.all = [...new Set(kinds)]
    this.#byName = new Map(this.all.map((kind) => [kind.name, kind]))
    for (const [i, kind] of this.all.entries()) {
      const others = this.all.slice(0, i)
      const names = others.flatMap(({ name, processType }) => [name, processType])
      mustBeFree('name', kind.name, [...names, ...RESERVED.name])
      mustBeFree('processType', kind.processType, [...names, ...RESERVED.name])
      for (const [name, setting] of Object.entries(kind.settings)) {
        const isOther = (kind: Kind) => name in kind.settings && kind.settings[name] !== setting
        mustBeFree('settings', name, others.some(isOther) ? [name] : [])
      }
      if (kind.path === null) continue
      mustBeFree('path', kind.path, [...others.map(({ path }) => path), ...RESERVED.path])
      mustBeFree('idField', kind.idField, [...others.map(({ idField }) => idField), ...RESERVED.idField])
    }
  }

  /** The settings that they declare, by name. */
  get settings(): Kind['settings'] {
    return Object.assign({}, ...this.all.map(({ settings }) => settings))
  }

  get names(): readonly string[] {
    return [...this.#byName.keys()]
  }

  find(name: string): Kind | undefined {
    return this.#byName.get(name)
  }

  /** Throws `TypeError` for an unregistered kind. */
  get(name: string): Kind {
    const kind = this.#byName.get(name)
    if (!kind) throw new TypeError(`unknown kind ${name}: expected one of ${this.names.join(', ')}`)
    return kind
  }

  /** Kinds that configured solvers can compute. */
  get solved(): readonly Kind[] {
    return this.all.filter(({ solvers }) => solvers.length > 0)
  }

  /** Kinds whose jobs workers over HTTP can claim. */
  get claimable(): readonly Kind[] {
    return this.all.filter(({ claimEvents }) => claimEvents !== null)
  }
}

function mustBeFree(field: string, text: string, taken: readonly (string | null)[]): void {
  if (taken.includes(text)) throw new TypeError(`${field}: ${text} is used by another kind or reserved: choose another`)
}
