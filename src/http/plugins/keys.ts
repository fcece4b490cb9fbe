import { createPublicKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createVerifier, TokenError } from 'fast-jwt'
import Type, { type Static } from 'typebox'
import { Compile } from 'typebox/compile'
import { ConfigError } from '../../config/config.js'
import { RuncastError } from '../../protocol/codes.js'

/** Verifies the signatures of tokens. */
export interface KeySource {
  /**
   * Algorithms of this source. Secrets and public keys must not share one, or a public key could be used as a secret.
   */
  readonly algorithms: readonly string[]
  /**
   * The claims of a token of these algorithms if its signature is valid. The claims themselves are not validated.
   * Rejects with `unauthenticated`, `expired` or `overloaded`.
   */
  claims(token: string): Promise<unknown>
}

/** Algorithms of public keys. Each key has exactly one. */
export const PUBLIC_KEY_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const
type PublicKeyAlgorithm = (typeof PUBLIC_KEY_ALGORITHMS)[number]

/** The claims of a token with a valid signature. Throws what `fast-jwt` throws. */
export type Verify = (token: string) => unknown

export interface PublicKey {
  readonly algorithm: PublicKeyAlgorithm
  readonly verify: Verify
}

/** Verifies only the signature. `identityOf` checks the times. */
export const SIGNATURE_ONLY = { ignoreExpiration: true, ignoreNotBefore: true } as const

const MIN_RSA_BITS = 2048
const HeaderSchema = Type.Object({ alg: Type.String(), kid: Type.Optional(Type.String()), typ: Type.Optional(Type.String()) })
const Header = Compile(HeaderSchema)
export type TokenHeader = Static<typeof HeaderSchema>

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * One public key, as PEM or the path of a PEM file. The type of the key determines the algorithm. Throws
 * `ConfigError` for any other input.
 */
export function publicKeySource(pemOrPath: string): KeySource {
  const key = readPublicKey(pemOrPath)
  return { algorithms: [key.algorithm], claims: async (token) => accessClaims(token, [key]) }
}

function readPublicKey(pemOrPath: string): PublicKey {
  const fault = 'JWT_PUBLIC_KEY: expected a public key in PEM, or the path of a PEM file: RSA with at least 2048 bits, P-256, or Ed25519'
  try {
    // In environment files, line breaks are often written as a backslash and an n.
    const pem = pemOrPath.includes('-----BEGIN') ? pemOrPath.replaceAll('\\n', '\n') : readFileSync(pemOrPath, 'utf8')
    const key = pem.includes('PRIVATE KEY') ? null : publicKeyOf(createPublicKey(pem))
    if (key) return key
  } catch (error) {
    throw new ConfigError([fault], { cause: error })
  }
  throw new ConfigError([fault])
}

/** Null for a key of another type or with too few bits. */
export function publicKeyOf(key: KeyObject): PublicKey | null {
  const algorithm = algorithmOf(key)
  if (algorithm === null) return null
  const pem = key.export({ type: 'spki', format: 'pem' }).toString()
  return { algorithm, verify: createVerifier({ ...SIGNATURE_ONLY, key: pem, algorithms: [algorithm] }) }
}

function algorithmOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): PublicKeyAlgorithm | null {
  if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) >= MIN_RSA_BITS) return 'RS256'
  if (asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1') return 'ES256'
  return asymmetricKeyType === 'ed25519' ? 'EdDSA' : null
}

/** Undefined if the signature is invalid. */
export function verified(token: string, verify: Verify): unknown {
  try {
    return verify(token)
  } catch (error) {
    if (error instanceof TokenError) return undefined
    throw error
  }
}

/** Values of the header `typ` for access tokens: the generic one, and those of RFC 9068. */
const ACCESS_TYPES = ['jwt', 'at+jwt', 'application/at+jwt']
/** Claims that mark ID tokens (OpenID Connect Core 1.0, section 2). */
const ID_TOKEN_CLAIMS = ['nonce', 'at_hash', 'c_hash']
/** How Keycloak (`typ`) and Cognito (`token_use`) mark access tokens. */
const ACCESS_USES: Readonly<Record<string, unknown>> = { typ: 'Bearer', token_use: 'access' }
const OTHER_USES: Readonly<Record<string, readonly unknown[]>> = { typ: ['ID', 'Refresh', 'Offline', 'Logout'], token_use: ['id'] }

/**
 * The claims of an access token that one of these keys has signed. Identity providers sign other tokens with the same
 * keys, and an ID token goes to every client to which a user signs in. Tokens marked as another type are rejected (RFC
 * 8725, sections 2.8, 3.11 and 3.12).
 */
export function accessClaims(token: string, keys: readonly PublicKey[]): unknown {
  for (const { verify } of keys) {
    const claims = verified(token, verify)
    if (claims !== undefined) return accessClaimsOf(headerOf(token), claims)
  }
  throw new RuncastError('unauthenticated')
}

function accessClaimsOf({ typ = 'JWT' }: TokenHeader, payload: unknown): unknown {
  const claims = new Map(typeof payload === 'object' && payload !== null ? Object.entries(payload) : [])
  const isMarked = typ.toLowerCase() !== 'jwt' || Object.entries(ACCESS_USES).some(([name, use]) => claims.get(name) === use)
  const mark = ACCESS_TYPES.includes(typ.toLowerCase())
    ? (Object.keys(OTHER_USES).find((name) => OTHER_USES[name]?.includes(claims.get(name))) ??
      // Some providers put `nonce` into access tokens too, but mark these as access tokens.
      (isMarked ? undefined : ID_TOKEN_CLAIMS.find((name) => claims.has(name))))
    : 'typ'
  if (mark !== undefined) throw new RuncastError('unauthenticated', `The token is not an access token, according to its ${mark}.`)
  return payload
}

/** A part of a token as text, not verified. Throws `unauthenticated` if it is not UTF-8. */
export function partOf(token: string, index: number): string {
  return textOf(Buffer.from(token.split('.')[index] ?? '', 'base64url'))
}

/** Decoders that replace invalid bytes with U+FFFD could yield the name of another user. */
function textOf(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (error) {
    if (error instanceof TypeError) throw new RuncastError('unauthenticated')
    throw error
  }
}

/** The header of a token, not verified. Throws `unauthenticated` if there is none. */
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
