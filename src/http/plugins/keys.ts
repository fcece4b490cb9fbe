import { createPublicKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { CryptoKey, FlattenedJWSInput } from 'jose'
import { compactVerify, createLocalJWKSet, createRemoteJWKSet, customFetch, errors, type JSONWebKeySet, jwksCache } from 'jose'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { RuncastError } from '../../protocol/codes.js'

/** Something that can tell whether a token is genuine. */
export interface KeySource {
  /** The algorithms that it is asked about. One of a secret and one of a public key share none, or a public key could serve as a secret. */
  readonly algorithms: readonly string[]
  /** The claims of a token of one of these algorithms whose signature holds; they are not looked at. Rejects with `unauthenticated`, `expired` or `overloaded`. */
  claims(token: string): Promise<unknown>
}

/** Key servers: how long their keys hold, how long they hold while the server cannot be asked, and how often it is asked about a key that it did not have. */
const KEYS_FRESH_MS = 10 * 60_000
const KEYS_STALE_MS = 3600_000
const UNKNOWN_KEY_MS = 5000
const FETCH_TIMEOUT_MS = 3000
const RETRY_MS = 1000

const MIN_RSA_BITS = 2048
const HeaderSchema = Type.Object({ alg: Type.String(), kid: Type.Optional(Type.String()), typ: Type.Optional(Type.String()) })
const Header = Compile(HeaderSchema)
type TokenHeader = Static<typeof HeaderSchema>

const KeySet = Compile(Type.Object({ keys: Type.Array(Type.Object({ kty: Type.String() })) }))

const decoder = new TextDecoder('utf-8', { fatal: true })

/** One public key, as PEM or as the path of a PEM file. Its kind alone says the algorithm. Throws where it is no such key. */
export function publicKeySource(pemOrPath: string): KeySource {
  const { key, algorithm } = readPublicKey(pemOrPath)
  return { algorithms: [algorithm], claims: (token) => verified(token, [key], [algorithm]) }
}

function readPublicKey(pemOrPath: string): { key: KeyObject; algorithm: string } {
  const fault = 'JWT_PUBLIC_KEY: expected a public key in PEM, or the path of a file with one: RSA of 2048 bits or more, P-256, or Ed25519'
  try {
    // In an environment file line breaks often stand as \n.
    const pem = pemOrPath.includes('-----BEGIN') ? pemOrPath.replaceAll('\\n', '\n') : readFileSync(pemOrPath, 'utf8')
    const key = pem.includes('PRIVATE KEY') ? undefined : createPublicKey(pem)
    const algorithm = key && algorithmOf(key)
    if (key && algorithm) return { key, algorithm }
  } catch (error) {
    throw new Error(fault, { cause: error })
  }
  throw new Error(fault)
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string | undefined {
  if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS) return 'RS256'
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256'
  return asymmetricKeyType === 'ed25519' ? 'EdDSA' : undefined
}

/**
 * The keys of a server that rotates them (JWK Set, RFC 7517). A key that is not known is asked for, at most every few seconds. While the server cannot be reached
 * the keys that are known go on for an hour, and a token of any other key is `overloaded`. A key that the server has withdrawn holds ten minutes more at most.
 */
export function keyServerSource(url: string, onFault: (error: unknown) => void, unknownKeyMs = UNKNOWN_KEY_MS): KeySource {
  const algorithms = ['RS256', 'ES256', 'EdDSA']
  const cache: { jwks?: JSONWebKeySet; uat?: number } = {}
  const remote = createRemoteJWKSet(new URL(url), {
    cacheMaxAge: KEYS_FRESH_MS,
    cooldownDuration: unknownKeyMs,
    timeoutDuration: FETCH_TIMEOUT_MS,
    [customFetch]: withPauses(fetch, onFault),
    [jwksCache]: cache as Record<string, never>, // filled by jose
  })
  const keysOf = async (header: TokenHeader, input: FlattenedJWSInput): Promise<readonly CryptoKey[]> => {
    try {
      return [await remote(header, input)]
    } catch (error) {
      if (isAnswer(error)) return candidates(error)
      const known = Date.now() < (cache.uat ?? 0) + KEYS_STALE_MS ? cache.jwks : undefined
      const kept = known && (await createLocalJWKSet(known)(header, input).then((key) => [key], candidates))
      if (kept && kept.length > 0) return kept
      throw new RuncastError('overloaded', 'The keys of tokens cannot be read right now; try again later.')
    }
  }
  return {
    algorithms,
    claims: async (token) => {
      const [head = '', payload = '', signature = ''] = token.split('.')
      const keys = await keysOf(headerOf(token), { protected: head, payload, signature })
      return verified(token, keys, algorithms)
    },
  }
}

/** Whether the server's keys are there and simply do not fit this token. */
function isAnswer(error: unknown): boolean {
  return [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported].some((kind) => error instanceof kind)
}

/** Where several keys may be the one, as while they rotate and the token names none, all of them; else none. */
async function candidates(error: unknown): Promise<readonly CryptoKey[]> {
  const keys: CryptoKey[] = []
  if (error instanceof errors.JWKSMultipleMatchingKeys) for await (const key of error) keys.push(key)
  return keys
}

/** A server that did not answer with keys is left alone for a moment: a storm of tokens is no storm of requests. */
function withPauses(fetchKeys: typeof fetch, onFault: (error: unknown) => void): (url: string, init: RequestInit) => Promise<Response> {
  let failed: { at: number; error: unknown } | undefined
  return async (url, init) => {
    if (failed && performance.now() < failed.at + RETRY_MS) throw failed.error
    try {
      const response = await fetchKeys(url, init)
      const body: unknown = await response.json().catch(() => undefined)
      if (response.status !== 200 || !KeySet.Check(body))
        throw new Error(`the server of JWT_JWKS_URL answered ${response.status}, no set of keys`)
      failed = undefined
      return Response.json(body)
    } catch (error) {
      failed = { at: performance.now(), error }
      onFault(error)
      throw error
    }
  }
}

async function verified(token: string, keys: readonly (CryptoKey | KeyObject)[], algorithms: string[]): Promise<unknown> {
  for (const key of keys) {
    const payload = await compactVerify(token, key, { algorithms }).then(
      (result) => result.payload,
      () => undefined,
    )
    if (payload) return accessClaims(headerOf(token), parse(textOf(payload)))
  }
  throw new RuncastError('unauthenticated')
}

/** The header `typ` of access tokens: the general one, and those of RFC 9068. */
const ACCESS_TYPES = ['jwt', 'at+jwt', 'application/at+jwt']
/** Claims of ID tokens (OpenID Connect Core 1.0, section 2). */
const ID_TOKEN_CLAIMS = ['nonce', 'at_hash', 'c_hash']
/** How Keycloak (`typ`) and Cognito (`token_use`) mark their tokens. */
const ACCESS_USES: Readonly<Record<string, unknown>> = { typ: 'Bearer', token_use: 'access' }
const OTHER_USES: Readonly<Record<string, readonly unknown[]>> = { typ: ['ID', 'Refresh', 'Offline', 'Logout'], token_use: ['id'] }

/**
 * The claims of an access token. An identity provider signs other tokens with the same keys, of which an ID token goes to every client that a user signs in to (RFC
 * 8725, sections 2.8, 3.11 and 3.12): refused is what says that it is one of them.
 */
function accessClaims({ typ = 'JWT' }: TokenHeader, payload: unknown): unknown {
  const claims = new Map(typeof payload === 'object' && payload !== null ? Object.entries(payload) : [])
  const isMarked = typ.toLowerCase() !== 'jwt' || Object.entries(ACCESS_USES).some(([name, use]) => claims.get(name) === use)
  const mark = ACCESS_TYPES.includes(typ.toLowerCase())
    ? (Object.keys(OTHER_USES).find((name) => OTHER_USES[name]?.includes(claims.get(name))) ??
      // Some providers write the nonce into access tokens too, and say there what they are.
      (isMarked ? undefined : ID_TOKEN_CLAIMS.find((name) => claims.has(name))))
    : 'typ'
  if (mark !== undefined) throw new RuncastError('unauthenticated', `The token is no access token: its ${mark} says so.`)
  return payload
}

/** A part of a token as text, not verified in any way. Throws `unauthenticated` where it is not UTF-8. */
export function partOf(token: string, index: number): string {
  return textOf(Buffer.from(token.split('.')[index] ?? '', 'base64url'))
}

/** Other decoders put U+FFFD for what is not UTF-8, which would be another user's name. */
function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (error) {
    if (error instanceof TypeError) throw new RuncastError('unauthenticated')
    throw error
  }
}

/** The header of a token, not verified in any way. Throws `unauthenticated` where there is none. */
export function headerOf(token: string): TokenHeader {
  const header = parse(partOf(token, 0))
  if (!Header.Check(header)) throw new RuncastError('unauthenticated')
  return header
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new RuncastError('unauthenticated')
  }
}
