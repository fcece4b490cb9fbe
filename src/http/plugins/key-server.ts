import { createPublicKey, type JsonWebKey } from 'node:crypto'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { RuncastError } from '../../protocol/codes.js'
import { accessClaims, headerOf, type KeySource, PUBLIC_KEY_ALGORITHMS, type PublicKey, publicKeyOf, type TokenHeader } from './keys.js'

/**
 * How long keys are valid, how long if the server is unavailable, and the minimum interval between lookups of unknown
 * keys.
 */
const KEYS_FRESH_MS = 10 * 60_000
const KEYS_STALE_MS = 3600_000
const UNKNOWN_KEY_MS = 5000
const FETCH_TIMEOUT_MS = 3000
/** Delay after a failed request, so that many tokens do not cause many requests. */
const RETRY_MS = 1000

const Unknown = Type.Optional(Type.Unknown())
const JwkSchema = Type.Object({ kty: Type.String(), kid: Unknown, alg: Unknown, use: Unknown, key_ops: Unknown })
const JwkSet = Compile(Type.Object({ keys: Type.Array(JwkSchema) }))

export interface KeyServerOptions {
  readonly unknownKeyMs?: number
  /** Monotonic clock, in ms. */
  readonly elapsed?: () => number
}

interface NamedKey extends PublicKey {
  readonly kid: unknown
}

/**
 * Verifies tokens with the keys of a JWK Set (RFC 7517) from a server that may rotate them. An unknown key causes a
 * request, at most every few seconds. While the server is unavailable, known keys stay valid for an hour, and tokens of
 * unknown keys are `overloaded`. A removed key stays valid for at most ten minutes.
 */
export function keyServerSource(url: string, onFault: (error: unknown) => void, options: KeyServerOptions = {}): KeySource {
  const server = new KeyServer(url, onFault, options)
  return { algorithms: PUBLIC_KEY_ALGORITHMS, claims: async (token) => accessClaims(token, await server.keysFor(headerOf(token))) }
}

class KeyServer {
  readonly #url: string
  readonly #onFault: (error: unknown) => void
  readonly #unknownKeyMs: number
  readonly #elapsed: () => number
  #keys: readonly NamedKey[] = []
  #fetchedAt = Number.NEGATIVE_INFINITY
  #failedAt = Number.NEGATIVE_INFINITY
  #fetching: Promise<boolean> | undefined

  constructor(
    url: string,
    onFault: (error: unknown) => void,
    { unknownKeyMs = UNKNOWN_KEY_MS, elapsed = () => performance.now() }: KeyServerOptions,
  ) {
    this.#url = url
    this.#onFault = onFault
    this.#unknownKeyMs = unknownKeyMs
    this.#elapsed = elapsed
  }

  /**
   * Keys that may have signed a token with this header: several if the header names none. Rejects with `overloaded` if
   * only the unavailable server could decide.
   */
  async keysFor(header: TokenHeader): Promise<readonly PublicKey[]> {
    const known = this.#matching(header)
    const ageMs = this.#elapsed() - this.#fetchedAt
    // The keys were fetched just now, so the server does not have this key either.
    if (ageMs < KEYS_FRESH_MS && (known.length > 0 || ageMs < this.#unknownKeyMs)) return known
    if (await this.#fetch()) return this.#matching(header)
    if (known.length > 0 && ageMs < KEYS_STALE_MS) return known
    throw new RuncastError('overloaded', 'The keys that verify tokens cannot be fetched right now; try again later.')
  }

  #matching({ alg, kid }: TokenHeader): readonly PublicKey[] {
    return this.#keys.filter((key) => key.algorithm === alg && (kid === undefined || key.kid === kid))
  }

  /** Resolves to whether the keys are up to date. Concurrent callers share one request. */
  #fetch(): Promise<boolean> {
    this.#fetching ??= this.#fetchOnce().finally(() => {
      this.#fetching = undefined
    })
    return this.#fetching
  }

  async #fetchOnce(): Promise<boolean> {
    const now = this.#elapsed()
    if (now < this.#failedAt + RETRY_MS) return false
    try {
      this.#keys = await fetchKeys(this.#url)
      this.#fetchedAt = now
      return true
    } catch (error) {
      this.#failedAt = this.#elapsed()
      this.#onFault(error)
      return false
    }
  }
}

/** Skips keys of other types and for other uses. Rejects if the response is not a JWK Set. */
async function fetchKeys(url: string): Promise<readonly NamedKey[]> {
  const headers = { accept: 'application/jwk-set+json, application/json' }
  const response = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) })
  const body: unknown = await response.json().catch(() => undefined)
  if (response.status !== 200 || !JwkSet.Check(body))
    throw new Error(`JWT_JWKS_URL: expected a JWK Set with status 200, got status ${response.status}`)
  return body.keys.flatMap((jwk) => keyOf(jwk) ?? [])
}

function keyOf(jwk: Static<typeof JwkSchema>): NamedKey | null {
  const { kid, alg, use, key_ops: operations } = jwk
  const isForSignatures = (use ?? 'sig') === 'sig' && (!Array.isArray(operations) || operations.includes('verify'))
  const key = isForSignatures ? readJwk(jwk) : null
  return key && (alg ?? key.algorithm) === key.algorithm ? { ...key, kid } : null
}

/** Null for a key that cannot be read: Node may not support its type. The other keys of the set are still used. */
function readJwk(jwk: object): PublicKey | null {
  try {
    return publicKeyOf(createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })) // Node validates each field
  } catch {
    return null
  }
}
