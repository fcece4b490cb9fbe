import { spread } from './crowding.js'
import { weaklyDominates } from './dominance.js'
import type { Member } from './problem.js'

/** Maximum members of an archive. */
export const ARCHIVE_LIMIT = 500

/** An archive after a newcomer was offered. */
export interface Entered {
  /** By index; the same array as given if nothing changed. */
  readonly members: readonly Member[]
  /** Members dropped for lack of room, although no member dominates them. */
  readonly evicted: readonly Member[]
}

/**
 * Offers a newcomer to an archive of non-dominated points. It is rejected if a member is at least as good in every
 * objective. Members that it dominates are removed. Beyond the limit, the member with the smallest crowding distance is
 * dropped; of equal ones the newest. If that is the newcomer, nothing changes.
 */
export function enter(members: readonly Member[], newcomer: Member, limit = ARCHIVE_LIMIT): Entered {
  const joined = join(members, newcomer)
  if (joined === members || joined.length <= limit) return { members: joined, evicted: [] }
  const left = new Set(thin(joined, limit))
  if (!left.has(newcomer)) return { members, evicted: [] }
  return { members: [...left], evicted: joined.filter((member) => !left.has(member)) }
}

/**
 * The archive of these members, of which none dominates another, and these newcomers. Unlike repeated `enter`, the
 * result does not depend on their order: all are added by index, of equal ones the first stays, and only then the
 * archive is reduced to its limit.
 */
export function settle(members: readonly Member[], newcomers: readonly Member[], limit = ARCHIVE_LIMIT): readonly Member[] {
  return thin(byIndex(newcomers).reduce(join, byIndex(members)), limit)
}

function join(members: readonly Member[], newcomer: Member): readonly Member[] {
  if (members.some((member) => weaklyDominates(member.objectives, newcomer.objectives))) return members
  const others = members.filter((member) => !weaklyDominates(newcomer.objectives, member.objectives))
  const next = others.findIndex(({ index }) => index > newcomer.index)
  return others.toSpliced(next < 0 ? others.length : next, 0, newcomer)
}

function thin(members: readonly Member[], limit: number): readonly Member[] {
  if (members.length <= limit) return members
  const left = spread(
    members.map(({ objectives }) => objectives),
    limit,
  )
  return left.flatMap((i) => members[i] ?? [])
}

function byIndex(members: readonly Member[]): readonly Member[] {
  return members.toSorted((a, b) => a.index - b.index)
}
