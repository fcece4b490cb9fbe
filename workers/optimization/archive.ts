import { spread } from './crowding.js'
import { weaklyDominates } from './dominance.js'
import type { Member } from './problem.js'

/** How many members an archive has at most. */
export const ARCHIVE_LIMIT = 500

/** An archive after somebody wanted in. */
export interface Entered {
  /** By index; the very array that was given where nothing changed. */
  readonly members: readonly Member[]
  /** Who left because there was no room, though nobody dominates it. */
  readonly evicted: readonly Member[]
}

/**
 * Lets a newcomer into an archive of non-dominated points, unless a member is at least as good in every objective. Those whom it dominates leave;
 * past the limit that one leaves whose crowding distance is the smallest, of several the newest. It may be the newcomer: then nothing changed.
 */
export function enter(members: readonly Member[], newcomer: Member, limit = ARCHIVE_LIMIT): Entered {
  const joined = join(members, newcomer)
  if (joined === members || joined.length <= limit) return { members: joined, evicted: [] }
  const left = new Set(thin(joined, limit))
  if (!left.has(newcomer)) return { members, evicted: [] }
  return { members: [...left], evicted: joined.filter((member) => !left.has(member)) }
}

/**
 * The archive of these members, of whom none dominates another, and these newcomers. Unlike one `enter` after the other it depends on who they are
 * and not on their order: all go in by index, of equals the first one stays, and only then is it thinned out.
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
