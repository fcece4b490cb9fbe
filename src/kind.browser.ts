import type { kindOf } from './core/define-kind.js'

/**
 * `defineKind` of `runcast/kind` in a page: the contract as it was given. It checks nothing and needs no package, since
 * hubs and workers define the same kind and check it.
 */
export const defineKind = ((contract: object) =>
  // A page uses no other field than those of the contract.
  Object.freeze({ ...contract })) as unknown as typeof kindOf
