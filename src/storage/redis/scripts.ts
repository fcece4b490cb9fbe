import { readFileSync } from 'node:fs'
import type { ArtifactRejection } from '../artifact-records.js'
import type { SchedulerState } from '../fair-scheduler.js'

type BeginReply = [outcome: 'ok', generation: string, owner: string, count: number, bytes: string] | [reason: ArtifactRejection]
type CommitReply = [outcome: 'ok', count: number, bytes: string, ...replaced: string[]] | [reason: ArtifactRejection]

/**
 * The Lua scripts of all adapters, one file per operation. Shared files: `append.lua` for publish and create,
 * `history.lua` for publish, read and artifacts, `telemetry.lua` for what a publication carries beside events,
 * `checkpoint.lua` for a publication that replaces a checkpoint, `scheduler.lua` for the fair scheduler,
 * `artifacts.lua` for artifacts.
 */
export const redisScripts = {
  runcastPublish: { numberOfKeys: 7, lua: load('history', 'append', 'series', 'telemetry', 'publish') },
  runcastAdvance: { numberOfKeys: 8, lua: load('history', 'append', 'series', 'telemetry', 'checkpoint', 'publish') },
  runcastDrop: { numberOfKeys: 1, lua: load('drop') },
  runcastCreate: { numberOfKeys: 7, lua: load('append', 'create') },
  runcastSetWords: { numberOfKeys: 2, lua: load('set-words') },
  runcastTouch: { numberOfKeys: 6, lua: load('touch') },
  runcastHeartbeat: { numberOfKeys: 1, lua: load('heartbeat') },
  runcastRead: { numberOfKeys: 2, lua: load('history', 'read') },
  runcastReadBrief: { numberOfKeys: 1, lua: load('history', 'read-brief') },
  runcastReadLines: { numberOfKeys: 2, lua: load('read-lines') },
  runcastReadSeries: { numberOfKeys: 2, lua: load('series', 'read-series') },
  runcastWeigh: { numberOfKeys: 6, lua: load('weigh') },
  runcastStored: { numberOfKeys: 2, lua: load('stored') },
  runcastExpire: { numberOfKeys: 6, lua: load('expire') },
  runcastArtifactBegin: { numberOfKeys: 1, lua: load('artifacts', 'artifact-begin') },
  runcastArtifactCommit: { numberOfKeys: 2, lua: load('history', 'artifacts', 'artifact-commit') },
  runcastArtifactQuota: { numberOfKeys: 2, lua: load('artifact-quota') },
  runcastIndexAdd: { numberOfKeys: 4, lua: load('index-add') },
  runcastIndexPut: { numberOfKeys: 2, lua: load('index-put') },
  runcastIndexMissing: { numberOfKeys: 2, lua: load('index-missing') },
  runcastIndexSearch: { lua: load('index-search') },
  runcastIndexRemove: { numberOfKeys: 2, lua: load('index-remove') },
  runcastIndexRead: { numberOfKeys: 3, lua: load('index-read') },
  runcastAdmit: { numberOfKeys: 1, lua: load('admit') },
  runcastLease: { numberOfKeys: 1, lua: load('lease') },
  runcastRenew: { numberOfKeys: 1, lua: load('renew') },
  runcastRevoke: { numberOfKeys: 4, lua: load('revoke') },
  runcastProbe: { numberOfKeys: 1, lua: load('probe') },
  runcastSchedulerReserve: { numberOfKeys: 1, lua: load('scheduler', 'scheduler-reserve') },
  runcastSchedulerEnter: { numberOfKeys: 1, lua: load('scheduler', 'scheduler-enter') },
  runcastSchedulerNext: { numberOfKeys: 1, lua: load('scheduler', 'scheduler-next') },
  runcastSchedulerLeave: { numberOfKeys: 1, lua: load('scheduler', 'scheduler-leave') },
  runcastSchedulerDepths: { numberOfKeys: 1, lua: load('scheduler', 'scheduler-depths') },
  runcastSchedulerUsers: { numberOfKeys: 1, lua: load('scheduler', 'scheduler-users') },
  runcastProcessAnnounce: { numberOfKeys: 2, lua: load('process-announce') },
  runcastProcessList: { numberOfKeys: 2, lua: load('process-list') },
}

type StoredCurve = [name: Buffer, unit: Buffer, x: Buffer, n: number, k: number, size: number, from: number, buckets: Buffer]

/** The scripts as commands of a connection that was created with them. */
export interface ScriptCommands {
  runcastPublish(...args: (string | number | Buffer)[]): Promise<[outcome: string, seq: number, status: string]>
  runcastAdvance(...args: (string | number | Buffer)[]): Promise<[outcome: string, seq: number, status: string]>
  runcastDrop(...args: (string | number)[]): Promise<1>
  runcastCreate(...args: (string | number)[]): Promise<['created'] | ['exists', owner: string, digest: string, round: number]>
  runcastSetWords(...args: string[]): Promise<'none' | 'same' | 'active' | 'final'>
  runcastTouch(...args: (string | number)[]): Promise<[owner: string, kind: string] | null>
  runcastHeartbeat(...args: (string | number)[]): Promise<[outcome: string, seq: number, status: string]>
  runcastReadBrief(key: string, store: string): Promise<[fields: string, epoch: string, now: number] | null>
  runcastReadBuffer(...args: (string | number)[]): Promise<[fields: Buffer[], epoch: Buffer, now: number, missed: Buffer[] | null] | null>
  runcastReadLinesBuffer(
    ...args: (string | number)[]
  ): Promise<
    [owner: Buffer, generation: Buffer, round: Buffer, status: Buffer, oldest: number, last: number, first: number, lines: Buffer[]] | null
  >
  runcastReadSeriesBuffer(
    ...args: (string | number)[]
  ): Promise<[owner: Buffer, generation: Buffer, round: Buffer, attempt: Buffer, seq: number, curves: StoredCurve[]] | null>
  runcastWeigh(...args: (string | number)[]): Promise<[owner: string, bytes: number, ms: number] | null>
  runcastStored(...args: (string | number)[]): Promise<[bytes: number, ms: number]>
  runcastExpire(...args: (string | number)[]): Promise<0 | 1>
  runcastArtifactBegin(...args: (string | number)[]): Promise<BeginReply>
  runcastArtifactCommit(...args: (string | number)[]): Promise<CommitReply>
  runcastArtifactQuota(...args: (string | number)[]): Promise<[allowed: number, bytes?: string, count?: number]>
  runcastIndexAdd(...args: (string | number)[]): Promise<number>
  runcastIndexPut(...args: (string | number)[]): Promise<1>
  runcastIndexMissing(...args: (string | number)[]): Promise<[read: number, missing: string[]]>
  runcastIndexSearch(...args: (string | number)[]): Promise<[cursor: string, ids: string[]]>
  runcastIndexRemove(...args: (string | number)[]): Promise<null>
  runcastIndexRead(...args: (string | number)[]): Promise<[generation: string, seq: number, active: string[], ended: string[]]>
  runcastAdmit(...args: (string | number)[]): Promise<0 | 1>
  runcastLease(...args: (string | number)[]): Promise<0 | 1>
  runcastRenew(...args: (string | number)[]): Promise<1>
  runcastRevoke(...args: (string | number)[]): Promise<number>
  runcastProbe(key: string, keepMs: number): Promise<number>
  runcastSchedulerReserve(...args: (string | number)[]): Promise<['ok' | 'hour' | 'waiting' | 'full', ms: number]>
  runcastSchedulerEnter(...args: (string | number)[]): Promise<SchedulerState>
  runcastSchedulerNext(...args: (string | number)[]): Promise<[queue: string, round: string] | null>
  runcastSchedulerLeave(...args: (string | number)[]): Promise<string | null>
  runcastSchedulerDepths(
    ...args: (string | number)[]
  ): Promise<[queue: string, waiting: number, held: number, admitted: number, ms: number][]>
  runcastSchedulerUsers(...args: (string | number)[]): Promise<[queue: string, owner: string, waiting: number][]>
  runcastProcessAnnounce(...args: (string | number)[]): Promise<1>
  runcastProcessList(...args: (string | number)[]): Promise<[total: number, ...entries: string[]]>
}

function load(...names: string[]): string {
  return names.map((name) => readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')).join('\n')
}
