import type { FaultPlan, FaultSort } from './plan.js'
import type { Unit } from './unit.js'
import type { Witness } from './witness.js'
import type { World } from './world.js'

type Act = (world: World, witness: Witness, plan: FaultPlan) => Promise<boolean | number | undefined>

/** What each fault does; falsy where it found nothing to do it to. */
const ACTS: Readonly<Record<FaultSort, Act>> = {
  'worker killed': ({ workers }, _witness, { unit, ms }) => at(workers, unit).kill(ms),
  'worker frozen': ({ workers }, _witness, { unit, ms }) => at(workers, unit).freeze(ms),
  'worker stopped': ({ workers }, _witness, { unit, ms }) => at(workers, unit).restart(ms),
  'hub killed': ({ hubs }, _witness, { unit, ms }) => at(hubs, unit).kill(ms),
  'hub frozen': ({ hubs }, _witness, { unit, ms }) => at(hubs, unit).freeze(ms),
  'hub stopped': ({ hubs }, _witness, { unit, ms }) => at(hubs, unit).restart(ms),
  'connections cut': (_world, witness) => witness.cut('normal'),
  'subscriptions cut': (_world, witness) => witness.cut('pubsub'),
  'Redis frozen': (world, _witness, { ms }) => world.freezeRedis(ms),
  'Redis restarted': (world) => world.restartRedis(),
}

export async function commit(plan: FaultPlan, world: World, witness: Witness): Promise<boolean> {
  return Boolean(await ACTS[plan.sort](world, witness, plan))
}

/** The process meant, or the next one that serves. */
function at(units: readonly Unit[], index: number): Unit {
  const order = units.map((_, i) => units[(index + i) % units.length]).filter((unit) => unit !== undefined)
  const unit = order.find(({ isUp }) => isUp) ?? order[0]
  if (!unit) throw new RangeError('there is no such process')
  return unit
}
