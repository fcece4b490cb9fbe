import type { Redis } from 'ioredis'
import type { ClaimRecord } from '../claims.js'

/**
 * KEYS  1 record of a claim (hash: rank, record)
 * ARGV  1 rank  2 record (JSON)  3 how long it is kept (ms)
 * Returns 1, or 0 where one of a higher rank is kept.
 *
 * Atomic, because copies of a post may be under way on several hubs, and a late one must not undo what a later post has left.
 */
const WRITE = `
if tonumber(redis.call('HGET', KEYS[1], 'rank') or 0) > tonumber(ARGV[1]) then return 0 end
redis.call('HSET', KEYS[1], 'rank', ARGV[1], 'record', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`

/**
 * KEYS  1 posts of a claim (number)
 * Returns how many there were since the key was last gone, with this one
 *
 * Atomic, so that no key stays without its end.
 */
const COUNT = `
local posts = redis.call('INCR', KEYS[1])
if posts == 1 then redis.call('PEXPIRE', KEYS[1], 1000) end
return posts`

/** Null where there is none. */
export async function readRecord(redis: Redis, key: string): Promise<ClaimRecord | null> {
  const text = await redis.hget(key, 'record')
  return text === null ? null : (JSON.parse(text) as ClaimRecord) // `writeRecord` alone writes it
}

/** False where the record of a later post is kept, or that of this one with its answer. */
export async function writeRecord(redis: Redis, key: string, record: ClaimRecord, keepMs: number): Promise<boolean> {
  const rank = record.n * 2 + (record.answer ? 1 : 0)
  return (await redis.eval(WRITE, 1, key, rank, JSON.stringify(record), keepMs)) === 1
}

/** How many posts there were, this one included, in the second that the first of them began: by the clock of Redis, so over all hubs. */
export async function countPost(redis: Redis, key: string): Promise<number> {
  return Number(await redis.eval(COUNT, 1, key))
}
