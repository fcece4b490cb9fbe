import { createHash } from 'node:crypto'

/** What a client may send as its key: 1 to 255 visible ASCII characters. */
export const IDEMPOTENCY_KEY_PATTERN = '^[!-~]{1,255}$'

/**
 * The id of the job that a user's key stands for: a UUIDv8 (RFC 9562, section 5.8) of owner, kind and key. The same three give the same id, so a repeated
 * submit is one of the same id and needs no memory of its own; another user's key never meets it.
 */
export function idOfKey(owner: string, kind: string, key: string): string {
  // As JSON, so that no two triples read alike.
  const bytes = createHash('sha256')
    .update(JSON.stringify([owner, kind, key]))
    .digest()
    .subarray(0, 16)
  bytes.writeUInt8(0x80 | (bytes.readUInt8(6) & 0x0f), 6)
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8)
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}
