import { readFileSync } from 'node:fs'
import type { KindName } from '../protocol/kinds.js'

/** The Lua of all adapters, one file an act; `append.lua` is the part that publish and create share. */
export const redisScripts = {
  runcastPublish: { numberOfKeys: 3, lua: load('append', 'publish') },
  runcastCreate: { numberOfKeys: 3, lua: load('append', 'create') },
  runcastTouch: { numberOfKeys: 2, lua: load('touch') },
  runcastBeat: { numberOfKeys: 1, lua: load('beat') },
  runcastRead: { numberOfKeys: 2, lua: load('read') },
  runcastAnnounce: { numberOfKeys: 4, lua: load('announce') },
  runcastWithdraw: { numberOfKeys: 2, lua: load('withdraw') },
  runcastRoll: { numberOfKeys: 3, lua: load('roll') },
  runcastAdmit: { numberOfKeys: 1, lua: load('admit') },
  runcastLease: { numberOfKeys: 1, lua: load('lease') },
  runcastRenew: { numberOfKeys: 1, lua: load('renew') },
  runcastRevoke: { numberOfKeys: 3, lua: load('revoke') },
}

/** The scripts as commands of a connection that was made with them. */
export interface ScriptCommands {
  runcastPublish(...args: (string | number)[]): Promise<[outcome: string, seq: number, status: string]>
  runcastCreate(...args: (string | number)[]): Promise<['created'] | ['exists', owner: string, digest: string, round: number]>
  runcastTouch(...args: (string | number)[]): Promise<[owner: string, kind: KindName] | null>
  runcastBeat(...args: (string | number)[]): Promise<[outcome: string, seq: number, status: string]>
  runcastReadBuffer(...args: (string | number)[]): Promise<[fields: Buffer[], epoch: Buffer, now: number, missed: Buffer[] | null] | null>
  runcastAnnounce(...args: (string | number)[]): Promise<number>
  runcastWithdraw(...args: (string | number)[]): Promise<null>
  runcastRoll(...args: (string | number)[]): Promise<[generation: string, seq: number, active: string[], ended: string[]]>
  runcastAdmit(...args: (string | number)[]): Promise<0 | 1>
  runcastLease(...args: (string | number)[]): Promise<0 | 1>
  runcastRenew(...args: (string | number)[]): Promise<1>
  runcastRevoke(...args: (string | number)[]): Promise<1>
}

function load(...names: string[]): string {
  return names.map((name) => readFileSync(new URL(`./lua/${name}.lua`, import.meta.url), 'utf8')).join('\n')
}
