import type { Redis } from 'ioredis'
import type { ClaimRecord } from '../claims.js'

/**
 * KEYS  1 record of a claim (hash: rank, record, lock)
 * ARGV  1 rank  2 record (JSON)  3 TTL (ms)  4 lock
 * Returns 1, or 0 if a record of higher rank, or of another claim, is stored
 *
 * Rank 0 begins a claim. It replaces a record that has outlived an earlier job with this id. Older versions write no
 * lock.
 *
 * Atomic, because copies of a post may be in progress on several hubs, and a late copy must not overwrite the record of
 * a later post.
 */
const WRITE = `
local f = redis.call('HMGET', KEYS[1], 'rank', 'lock')
if ARGV[1] ~= '0' and (tonumber(f[1] or 0) > tonumber(ARGV[1]) or (f[2] and f[2] ~= ARGV[4])) then return 0 end
redis.call('HSET', KEYS[1], 'rank', ARGV[1], 'record', ARGV[2], 'lock', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`

/**
 * KEYS  1 posts of a claim (number)
 * Returns the number of posts, including this one, since the key last expired
 *
 * Atomic, so that no key remains without a TTL.
 */
const COUNT = `
local posts = redis.call('INCR', KEYS[1])
if posts == 1 then redis.call('PEXPIRE', KEYS[1], 1000) end
return posts`

/** Null if there is no record. */
export async function readRecord(redis: Redis, key: string): Promise<ClaimRecord | null> {
  const text = await redis.hget(key, 'record')
  return text === null ? null : (JSON.parse(text) as ClaimRecord) // only `writeRecord` writes it
}

/** False if the record of a later post or claim is stored, or the record of this post with its answer. */
export async function writeRecord(redis: Redis, key: string, record: ClaimRecord, keepMs: number): Promise<boolean> {
  const rank = record.n * 2 + (record.answer ? 1 : 0)
  return (await redis.eval(WRITE, 1, key, rank, JSON.stringify(record), keepMs, record.lock)) === 1
}

/**
 * Number of posts, including this one, in the second that began with the first of them. Uses the clock of Redis, so it
 * counts over all hubs.
 */
export async function countPost(redis: Redis, key: string): Promise<number> {
  return Number(await redis.eval(COUNT, 1, key))
}
