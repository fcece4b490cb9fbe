import type { Role } from '../../core/identity.js'

/** Where a token names its role, and the values of the roles other than `user`. */
export interface RoleNames {
  /** Name of a claim, or a path to it, separated by dots. */
  readonly claim: string
  readonly admin: string
  readonly worker: string
  /** The claim, or the path to it, that names the kinds of jobs that a worker may claim. Default: `kinds`. */
  readonly kinds?: string
}

export const DEFAULT_ROLE_NAMES = { claim: 'role', admin: 'admin', worker: 'worker', kinds: 'kinds' } as const satisfies RoleNames

/**
 * The role in a token's claims; null if it is invalid. A list, or a claim with another name than `role`, may hold roles
 * of other systems, so unknown values mean `user`. The claim `role` as a string must be one of the three.
 */
export function roleIn(claims: object, { claim, admin, worker }: RoleNames): Role | null {
  const value = valueAt(claims, claim)
  if (value === undefined || value === null) return 'user'
  const roles: unknown[] = [value].flat()
  if (!roles.every((role) => typeof role === 'string')) return null
  if (roles.includes(admin)) return 'admin'
  if (roles.includes(worker)) return 'worker'
  const isOurs = claim === DEFAULT_ROLE_NAMES.claim && !Array.isArray(value)
  return isOurs && value !== 'user' ? null : 'user'
}

/**
 * The kinds in a worker's token claims: a name, or a list of names. Undefined without such a claim; null if it is
 * invalid.
 */
export function kindsIn(claims: object, { kinds: claim = DEFAULT_ROLE_NAMES.kinds }: RoleNames): readonly string[] | null | undefined {
  const value = valueAt(claims, claim)
  if (value === undefined || value === null) return undefined
  const kinds: unknown[] = [value].flat()
  return kinds.every((kind) => typeof kind === 'string') ? kinds : null
}

/** The claim that names a role. */
export function claimOf({ claim, ...names }: RoleNames, role: 'admin' | 'worker'): Record<string, unknown> {
  return { [claim]: names[role] }
}

/** A claim by its name, which may contain dots, else by the path. */
function valueAt(claims: object, path: string): unknown {
  if (Object.hasOwn(claims, path)) return (claims as Record<string, unknown>)[path]
  return path.split('.').reduce<unknown>((value, name) => {
    return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
  }, claims)
}
