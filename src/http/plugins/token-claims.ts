import Type from 'typebox'
import { Compile } from 'typebox/compile'
import type { Identity } from '../../core/identity.js'
import { RuncastError } from '../../protocol/codes.js'
import { UserId } from '../../protocol/user-id.js'
import { DEFAULT_ROLE_NAMES, type RoleNames, roleIn } from './roles.js'

/** The last second that a `Date` can tell. */
const MAX_DATE_S = 8_640_000_000_000
/** How far the issuer's clock may be ahead of ours. A token of the future would outlive "all that were issued before now". */
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

/** What a token has to say; an empty text asks for nothing. */
export interface ExpectedClaims {
  readonly issuer: string
  /** One of the token's, where it has several. */
  readonly audience: string
  /** Without it those of our own tokens. */
  readonly roles?: RoleNames
}

/** Whom the claims of a genuine token (RFC 7519, section 4.1) speak for at `now`. Throws `unauthenticated` or `expired`. */
export function identityOf(claims: unknown, expected: ExpectedClaims, now: number): Identity {
  const { roles = DEFAULT_ROLE_NAMES } = expected
  const role = Claims.Check(claims) ? roleIn(claims, roles) : null
  if (!Claims.Check(claims) || role === null)
    throw new RuncastError('unauthenticated', `The claims sub, exp, ${roles.claim}, iat, nbf or jti of the token are missing or wrong.`)
  if (expected.issuer !== '' && claims.iss !== expected.issuer) throw new RuncastError('unauthenticated', 'The token is of another issuer.')
  if (expected.audience !== '' && ![claims.aud].flat().includes(expected.audience))
    throw new RuncastError('unauthenticated', 'The token is for another audience.')
  const issuedAt = (claims.iat ?? 0) * 1000
  if (issuedAt > now + MAX_AHEAD_MS || (claims.nbf ?? 0) * 1000 > now)
    throw new RuncastError('unauthenticated', 'The token is not valid yet.')
  if (claims.exp * 1000 <= now) throw new RuncastError('expired')
  const { sub, jti } = claims
  return { sub, role, expiresAt: claims.exp * 1000, issuedAt, ...(jti !== undefined && { jti }) }
}
