import type { kindOf } from './core/define-kind.js'

/**
 * `defineKind` of `runcast/kind` in a page: the contract as it was given. It checks nothing and needs no package, since
 * hubs and workers define the same kind and check it.
 */
export const defineKind = ((contract: object) => Object.freeze({ ...contract })) as unknown as typeof kindOf // a page uses the fields of the contract
