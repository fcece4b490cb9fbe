import { setMaxListeners } from 'node:events'
import { setPriority } from 'node:os'
import { ATTACKS, type AttackName } from './attacks.js'

/** What the parent asks for: attacks with their strength, for so long. */
export interface Order {
  readonly port: number
  readonly from: string
  readonly token: string
  readonly seconds: number
  readonly attacks: Readonly<Partial<Record<AttackName, number>>>
}

/** Attackers in a process of their own. It has the lowest priority, since their computer is not the hub's. Sends its parent the outcomes, by attack. */
process.once('message', async ({ port, from, token, seconds, attacks }: Order) => {
  setPriority(19)
  const signal = AbortSignal.timeout(seconds * 1000)
  setMaxListeners(0, signal) // one per attacker
  const outcomes: Record<string, Record<string, number>> = {}
  await Promise.all(
    Object.entries(attacks).map(([name, strength]) => {
      const own: Record<string, number> = {}
      outcomes[name] = own
      const count = (outcome: string) => {
        own[outcome] = (own[outcome] ?? 0) + 1
      }
      return ATTACKS[name as AttackName]({ port, from, token, signal, count }, strength) // a key of the order
    }),
  )
  process.send?.(outcomes, () => process.exit())
})
process.once('disconnect', () => process.exit())
