import type { DefinedKind } from '../core/define-kind.js'
import { benchmarkKind } from './benchmark/kind.js'
import { optimizationKind } from './optimization/kind.js'
import { runKind } from './run/kind.js'

/**
 * The list of built-in kinds. To add one: a folder here, a folder in `workers`, and a line in this list and in
 * `workers/built-in-work.ts`.
 */
export const BUILT_IN_KINDS = [runKind, optimizationKind, benchmarkKind] as const

type BuiltIn = (typeof BUILT_IN_KINDS)[number]
/** Names of the built-in kinds. */
export type KindName = BuiltIn['name']
export type RunKindName = Extract<BuiltIn, { readonly dialect: 'run' }>['name']
/** The input of a built-in kind, with defaults filled in. */
export type InputOf<K extends KindName> = Extract<BuiltIn, { readonly name: K }> extends DefinedKind<infer I> ? I : never

type Merged<U> = (U extends unknown ? (each: U) => void : never) extends (all: infer A) => void ? A : never

/** The settings of the built-in kinds. */
export const BUILT_IN_SETTINGS = Object.assign({}, ...BUILT_IN_KINDS.map(({ settings }) => settings)) as Merged<BuiltIn['settings']>
