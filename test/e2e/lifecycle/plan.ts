import { random } from '../../support/random.js'
import { INPUTS, type InputName } from './inputs.js'

/** How much happens. */
export interface Scale {
  readonly ms: number
  readonly hubs: number
  readonly workers: number
  readonly users: number
  readonly jobs: number
  readonly faults: number
  readonly cuts: number
  readonly touchesRedis: boolean
}

/** The life of one job as its users want it. Times are ms: of the plan, or after the submit, or after an end. */
export interface JobPlan {
  readonly id: string
  readonly owner: string
  readonly input: InputName
  readonly at: number
  /** Which hub is asked first; each request takes the next one. */
  readonly hub: number
  readonly repeatsAfter: readonly number[]
  readonly cancelsAfter: readonly number[]
  /** Whether each cancel is asked of two hubs at once. */
  readonly cancelsTwice: boolean
  readonly retriesAfter: readonly number[]
  readonly isWatchedPlainly: boolean
}

export const FAULT_SORTS = [
  'worker killed',
  'worker frozen',
  'worker stopped',
  'hub killed',
  'hub frozen',
  'hub stopped',
  'connections cut',
  'subscriptions cut',
  'Redis frozen',
  'Redis restarted',
] as const
/** Only in the long form. */
const RARE: readonly FaultSort[] = ['Redis frozen', 'Redis restarted']
export type FaultSort = (typeof FAULT_SORTS)[number]

export interface FaultPlan {
  readonly at: number
  readonly sort: FaultSort
  /** Which process of its sort. */
  readonly unit: number
  /** How long it is frozen, or away before it is started again. */
  readonly ms: number
}

/** A client whose connection is cut, or that reads nothing for a while: `pick` is its place among those there are. */
export interface CutPlan {
  readonly at: number
  readonly pick: number
}

export interface Plan {
  readonly seed: number
  readonly scale: Scale
  readonly jobs: readonly JobPlan[]
  readonly faults: readonly FaultPlan[]
  readonly cuts: readonly CutPlan[]
  readonly slow: readonly CutPlan[]
}

/** How often each sort comes, against the others. */
const WEIGHTS: Readonly<Record<FaultSort, number>> = {
  'worker killed': 4,
  'worker frozen': 6,
  'worker stopped': 3,
  'hub killed': 2,
  'hub frozen': 2,
  'hub stopped': 2,
  'connections cut': 3,
  'subscriptions cut': 3,
  'Redis frozen': 0.4,
  'Redis restarted': 0.7,
}
/** How long each sort takes, at least and at most. A frozen worker wakes when another one has its jobs; all others are away for moments. */
const LENGTHS_MS: Readonly<Partial<Record<FaultSort, readonly [number, number]>>> = {
  'worker frozen': [1500, 5000],
  'hub frozen': [100, 4000],
}
const ABSENCE_MS = [0, 1500] as const

/** What happens, when and to whom, from the seed alone. */
export function planOf(seed: number, scale: Scale): Plan {
  const next = random(seed)
  const below = (limit: number) => Math.floor(next() * limit)
  const times = (count: number) => Array.from({ length: count }, () => below(scale.ms)).toSorted((a, b) => a - b)
  const sorts = FAULT_SORTS.filter((sort) => scale.touchesRedis || !RARE.includes(sort))
  const jobs = times(scale.jobs).map((at, i) => jobOf(next, at * 0.9, `job-${seed}-${i}`, scale.users))
  const faults = times(scale.faults).map((at): FaultPlan => {
    const sort = weighted(next, sorts, (sort) => WEIGHTS[sort])
    const [least, most] = LENGTHS_MS[sort] ?? ABSENCE_MS
    return { at, sort, unit: below(64), ms: least + below(most - least) }
  })
  const picked = (count: number) => times(count).map((at): CutPlan => ({ at, pick: next() }))
  return { seed, scale, jobs, faults, cuts: picked(scale.cuts), slow: picked(Math.ceil(scale.cuts / 4)) }
}

function jobOf(next: () => number, at: number, id: string, users: number): JobPlan {
  const some = (share: number, longest: number, most = 1) =>
    Array.from({ length: most }, () => Math.floor(next() * longest)).filter(() => next() < share)
  return {
    id,
    owner: `user-${Math.floor(next() * users)}`,
    input: weighted(next, Object.keys(INPUTS) as InputName[], (name) => INPUTS[name].weight),
    at,
    hub: Math.floor(next() * 64),
    repeatsAfter: some(0.3, 1000),
    cancelsAfter: some(0.25, 3000, 2),
    cancelsTwice: next() < 0.3,
    retriesAfter: some(0.5, 800, 2),
    isWatchedPlainly: next() < 0.5,
  }
}

function weighted<T>(next: () => number, items: readonly T[], weightOf: (item: T) => number): T {
  let left = next() * items.reduce((sum, item) => sum + weightOf(item), 0)
  const found = items.find((item) => {
    left -= weightOf(item)
    return left < 0
  })
  if (found === undefined) throw new RangeError('there is nothing to choose from')
  return found
}
