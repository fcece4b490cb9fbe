import { createHash } from 'node:crypto'

/** Pattern of an idempotency key: 1 to 255 visible ASCII characters. */
export const IDEMPOTENCY_KEY_PATTERN = '^[!-~]{1,255}$'

/**
 * The job id for an idempotency key: a UUIDv8 (RFC 9562, section 5.8) of owner, kind and key. The same three values
 * give the same id. So a repeated submit has the same id and needs no storage of its own, and keys of different users
 * never collide.
 */
export function idOfKey(owner: string, kind: string, key: string): string {
  // As JSON, so that different triples never have the same text.
  const bytes = createHash('sha256')
    .update(JSON.stringify([owner, kind, key]))
    .digest()
    .subarray(0, 16)
  bytes.writeUInt8(0x80 | (bytes.readUInt8(6) & 0x0f), 6)
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8)
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
