import { LRUCache } from 'lru-cache'

/** See `recentMap`. */
export type RecentMap<V extends NonNullable<unknown>> = LRUCache<string, V>

/**
 * A map with at most `max` entries that evicts the least recently used ones. It grows with its content: with its option
 * `max`, lru-cache would reserve 24 bytes per possible entry.
 */
export function recentMap<V extends NonNullable<unknown>>(max: number): RecentMap<V> {
  return new LRUCache({ maxSize: max, sizeCalculation: () => 1 })
}
