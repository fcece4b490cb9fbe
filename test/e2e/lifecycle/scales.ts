import type { Scale } from './plan.js'

/** What runs with every other test. */
export const SMALL: Scale = { ms: 9000, hubs: 2, workers: 2, users: 3, jobs: 20, faults: 16, cuts: 40, touchesRedis: false }

/** For as long as one likes, and Redis itself is frozen and started anew now and then. */
export function longScale(seconds: number): Scale {
  const many = (perSecond: number) => Math.round(seconds * perSecond)
  return { ms: seconds * 1000, hubs: 3, workers: 3, users: 4, jobs: many(1), faults: many(0.7), cuts: many(4), touchesRedis: true }
}
