import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Identity } from '../../core/identity.js'
import { RuncastError } from '../../protocol/codes.js'
import { UserId } from '../../protocol/user-id.js'
import { DEFAULT_ROLE_NAMES, kindsIn, type RoleNames, roleIn } from './roles.js'

/** The last second that a `Date` can represent. */
const MAX_DATE_S = 8_640_000_000_000
/**
 * Maximum clock skew of the issuer. A token issued in the future would survive a revocation of all tokens issued before
 * now.
 */
const MAX_AHEAD_MS = 5 * 60_000

const Claims = Compile(
  Type.Object({
    sub: UserId,
    exp: Type.Number({ maximum: MAX_DATE_S }),
    iat: Type.Optional(Type.Number({ minimum: 0, maximum: MAX_DATE_S })),
    nbf: Type.Optional(Type.Number()),
    jti: Type.Optional(UserId),
    iss: Type.Optional(Type.Unknown()),
    aud: Type.Optional(Type.Unknown()),
  }),
)

/** Required values of claims; an empty string requires nothing. */
export interface ExpectedClaims {
  readonly issuer: string
  /** Must be one of the token's audiences. */
  readonly audience: string
  /** Default: the role names of the hub's own tokens. */
  readonly roles?: RoleNames
}

/**
 * The identity of a token with a valid signature at `now` (RFC 7519, section 4.1). Throws `unauthenticated` or
 * `expired`.
 */
export function identityOf(claims: unknown, expected: ExpectedClaims, now: number): Identity {
  const { roles = DEFAULT_ROLE_NAMES as RoleNames } = expected
  const role = Claims.Check(claims) ? roleIn(claims, roles) : null
  if (!Claims.Check(claims) || role === null)
    throw new RuncastError('unauthenticated', `One of the token claims sub, exp, ${roles.claim}, iat, nbf, jti is missing or invalid.`)
  if (expected.issuer !== '' && claims.iss !== expected.issuer)
    throw new RuncastError('unauthenticated', 'The iss of the token is not the expected issuer.')
  if (expected.audience !== '' && ![claims.aud].flat().includes(expected.audience))
    throw new RuncastError('unauthenticated', 'The aud of the token does not contain the expected audience.')
  const issuedAt = (claims.iat ?? 0) * 1000
  if (issuedAt > now + MAX_AHEAD_MS || (claims.nbf ?? 0) * 1000 > now)
    throw new RuncastError('unauthenticated', 'The token is not valid yet.')
  if (claims.exp * 1000 <= now) throw new RuncastError('expired')
  const kinds = role === 'worker' ? kindsIn(claims, roles) : undefined
  if (kinds === null)
    throw new RuncastError(
      'unauthenticated',
      `The token claim ${roles.kinds ?? DEFAULT_ROLE_NAMES.kinds} of a worker must be the name of a kind, or a list of names.`,
    )
  const { sub, jti } = claims
  return {
    sub,
    role,
    ...(kinds && { kinds }),
    expiresAt: claims.exp * 1000,
    issuedAt,
    ...(jti !== undefined && { jti }),
  }
}
