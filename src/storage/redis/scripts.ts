import { readFileSync } from 'node:fs'
import type { KindName } from '../../core/kinds.js'
import type { GateState } from '../gate.js'

/** The Lua of all adapters, one file an act; `append.lua` is the part that publish and create share, `history.lua` the part of those that publish and of the one that reads, `checkpoint.lua` what a publication has beside that replaces a checkpoint, `gate.lua` the one of the gate's. */
export const redisScripts = {
  runcastPublish: { numberOfKeys: 3, lua: load('history', 'append', 'publish') },
  runcastAdvance: { numberOfKeys: 4, lua: load('history', 'append', 'checkpoint', 'publish') },
  runcastDrop: { numberOfKeys: 1, lua: load('drop') },
  runcastCreate: { numberOfKeys: 3, lua: load('append', 'create') },
  runcastTouch: { numberOfKeys: 3, lua: load('touch') },
  runcastBeat: { numberOfKeys: 1, lua: load('beat') },
  runcastRead: { numberOfKeys: 2, lua: load('history', 'read') },
  runcastWeigh: { numberOfKeys: 3, lua: load('weigh') },
  runcastStored: { numberOfKeys: 2, lua: load('stored') },
  runcastExpire: { numberOfKeys: 2, lua: load('expire') },
  runcastAnnounce: { numberOfKeys: 4, lua: load('announce') },
  runcastWithdraw: { numberOfKeys: 2, lua: load('withdraw') },
  runcastRoll: { numberOfKeys: 3, lua: load('roll') },
  runcastAdmit: { numberOfKeys: 1, lua: load('admit') },
  runcastLease: { numberOfKeys: 1, lua: load('lease') },
  runcastRenew: { numberOfKeys: 1, lua: load('renew') },
  runcastRevoke: { numberOfKeys: 4, lua: load('revoke') },
  runcastProbe: { numberOfKeys: 1, lua: load('probe') },
  runcastGateReserve: { numberOfKeys: 1, lua: load('gate', 'gate-reserve') },
  runcastGateEnter: { numberOfKeys: 1, lua: load('gate', 'gate-enter') },
  runcastGateNext: { numberOfKeys: 1, lua: load('gate', 'gate-next') },
  runcastGateLeave: { numberOfKeys: 1, lua: load('gate', 'gate-leave') },
  runcastGateDepths: { numberOfKeys: 1, lua: load('gate', 'gate-depths') },
}

/** The scripts as commands of a connection that was made with them. */
export interface ScriptCommands {
  runcastPublish(...args: (string | number)[]): Promise<[outcome: string, seq: number, status: string]>
  runcastAdvance(...args: (string | number)[]): Promise<[outcome: string, seq: number, status: string]>
  runcastDrop(...args: (string | number)[]): Promise<1>
  runcastCreate(...args: (string | number)[]): Promise<['created'] | ['exists', owner: string, digest: string, round: number]>
  runcastTouch(...args: (string | number)[]): Promise<[owner: string, kind: KindName] | null>
  runcastBeat(...args: (string | number)[]): Promise<[outcome: string, seq: number, status: string]>
  runcastReadBuffer(...args: (string | number)[]): Promise<[fields: Buffer[], epoch: Buffer, now: number, missed: Buffer[] | null] | null>
  runcastWeigh(...args: (string | number)[]): Promise<[owner: string, bytes: number, ms: number] | null>
  runcastStored(...args: (string | number)[]): Promise<[bytes: number, ms: number]>
  runcastExpire(...args: (string | number)[]): Promise<0 | 1>
  runcastAnnounce(...args: (string | number)[]): Promise<number>
  runcastWithdraw(...args: (string | number)[]): Promise<null>
  runcastRoll(...args: (string | number)[]): Promise<[generation: string, seq: number, active: string[], ended: string[]]>
  runcastAdmit(...args: (string | number)[]): Promise<0 | 1>
  runcastLease(...args: (string | number)[]): Promise<0 | 1>
  runcastRenew(...args: (string | number)[]): Promise<1>
  runcastRevoke(...args: (string | number)[]): Promise<number>
  runcastProbe(key: string, keepMs: number): Promise<number>
  runcastGateReserve(...args: (string | number)[]): Promise<['ok' | 'hour' | 'waiting' | 'full', ms: number]>
  runcastGateEnter(...args: (string | number)[]): Promise<GateState>
  runcastGateNext(...args: (string | number)[]): Promise<[queue: string, round: string] | null>
  runcastGateLeave(...args: (string | number)[]): Promise<string | null>
  runcastGateDepths(...args: (string | number)[]): Promise<[queue: string, waiting: number, held: number, admitted: number, ms: number][]>
}

function load(...names: string[]): string {
  return names.map((name) => readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')).join('\n')
}
