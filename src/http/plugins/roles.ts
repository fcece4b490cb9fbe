import type { Role } from '../../core/identity.js'

/** Where a token says its role, and what it says there for the roles that are none of an ordinary user. */
export interface RoleNames {
  /** Name of a claim, or a path to it with dots between. */
  readonly claim: string
  readonly admin: string
  readonly worker: string
}

export const DEFAULT_ROLE_NAMES: RoleNames = { claim: 'role', admin: 'admin', worker: 'worker' }

/**
 * The role of a token's claims; null where it cannot be read. A list may hold roles of other systems, and so may a claim of another name than ours: who is neither
 * admin nor worker there is a user. The claim `role` as a text is ours, and has to be one of the three.
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

/** The claim that says a role. */
export function claimOf({ claim, ...names }: RoleNames, role: 'admin' | 'worker'): Record<string, unknown> {
  return { [claim]: names[role] }
}

/** A claim by its name, which may itself hold dots, else by the path. */
function valueAt(claims: object, path: string): unknown {
  if (Object.hasOwn(claims, path)) return (claims as Record<string, unknown>)[path]
  return path.split('.').reduce<unknown>((value, name) => {
    return typeof value === 'object' && value !== null && Object.hasOwn(value, name) ? (value as Record<string, unknown>)[name] : undefined
  }, claims)
}
