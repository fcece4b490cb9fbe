import { LRUCache } from 'lru-cache'

/** See `recentMap`. */
export type RecentMap<V extends NonNullable<unknown>> = LRUCache<string, V>

/**
 * A map that holds `max` entries at most, and forgets those that were used longest ago. It grows with what it holds: with its option `max` lru-cache would reserve
 * 24 bytes for each entry that may come.
 */
export function recentMap<V extends NonNullable<unknown>>(max: number): RecentMap<V> {
  return new LRUCache({ maxSize: max, sizeCalculation: () => 1 })
}
