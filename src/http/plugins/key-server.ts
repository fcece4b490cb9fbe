import { createPublicKey, type JsonWebKey } from 'node:crypto'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { RuncastError } from '../../protocol/codes.js'
import { accessClaims, headerOf, type KeySource, PUBLIC_KEY_ALGORITHMS, type PublicKey, publicKeyOf, type TokenHeader } from './keys.js'

/** How long keys hold, how long they hold while the server cannot be asked, and how often it is asked about a key that it did not have. */
const KEYS_FRESH_MS = 10 * 60_000
const KEYS_STALE_MS = 3600_000
const UNKNOWN_KEY_MS = 5000
const FETCH_TIMEOUT_MS = 3000
/** A server that did not answer with keys is left alone for so long: a storm of tokens is no storm of requests. */
const RETRY_MS = 1000

const Unknown = Type.Optional(Type.Unknown())
const JwkSchema = Type.Object({ kty: Type.String(), kid: Unknown, alg: Unknown, use: Unknown, key_ops: Unknown })
const JwkSet = Compile(Type.Object({ keys: Type.Array(JwkSchema) }))

export interface KeyServerOptions {
  readonly unknownKeyMs?: number
  /** ms of a clock that is never set. */
  readonly elapsed?: () => number
}

interface NamedKey extends PublicKey {
  readonly kid: unknown
}

/**
 * The keys of a server that rotates them (JWK Set, RFC 7517). A key that is not known is asked for, at most every few seconds. While the server cannot be reached
 * the keys that are known go on for an hour, and a token of any other key is `overloaded`. A key that the server has withdrawn holds ten minutes more at most.
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

  /** Those that may have signed a token with this header: several while they rotate and it names none. Rejects with `overloaded` where only the server could tell. */
  async keysFor(header: TokenHeader): Promise<readonly PublicKey[]> {
    const known = this.#matching(header)
    const ageMs = this.#elapsed() - this.#fetchedAt
    // What it did not have a moment ago it does not have now.
    if (ageMs < KEYS_FRESH_MS && (known.length > 0 || ageMs < this.#unknownKeyMs)) return known
    if (await this.#fetch()) return this.#matching(header)
    if (known.length > 0 && ageMs < KEYS_STALE_MS) return known
    throw new RuncastError('overloaded', 'The keys of tokens cannot be read right now; try again later.')
  }

  #matching({ alg, kid }: TokenHeader): readonly PublicKey[] {
    return this.#keys.filter((key) => key.algorithm === alg && (kid === undefined || key.kid === kid))
  }

  /** Whether the keys are those that the server has now. One request for all who ask. */
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

/** Keys of other kinds, and for other uses, are left out. Rejects where the answer is no set of keys. */
async function fetchKeys(url: string): Promise<readonly NamedKey[]> {
  const headers = { accept: 'application/jwk-set+json, application/json' }
  const response = await fetch(url, { headers, redirect: 'manual', signal: AbortSignal.timeout(FETCH_TIMEOUT_MS) })
  const body: unknown = await response.json().catch(() => undefined)
  if (response.status !== 200 || !JwkSet.Check(body))
    throw new Error(`the server of JWT_JWKS_URL answered ${response.status}, no set of keys`)
  return body.keys.flatMap((jwk) => keyOf(jwk) ?? [])
}

function keyOf(jwk: Static<typeof JwkSchema>): NamedKey | null {
  const { kid, alg, use, key_ops: operations } = jwk
  const isForSignatures = (use ?? 'sig') === 'sig' && (!Array.isArray(operations) || operations.includes('verify'))
  const key = isForSignatures ? readJwk(jwk) : null
  return key && (alg ?? key.algorithm) === key.algorithm ? { ...key, kid } : null
}

/** Null for a key that cannot be read: it may be of a kind that Node does not know, and those beside it count all the same. */
function readJwk(jwk: object): PublicKey | null {
  try {
    return publicKeyOf(createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })) // Node looks at each field
  } catch {
    return null
  }
}
