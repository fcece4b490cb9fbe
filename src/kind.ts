/*
 * `runcast/kind`: the contract of a kind alone, for a module that hubs, workers and pages import. The bundle of a page
 * gets `kind.browser.ts` in its place, by the condition `browser` of the package.
 */
export { type DefinedKind, type KindContract, kindOf as defineKind } from './core/define-kind.js'
export type { InputIssue, KindDisplay } from './core/kind.js'
export type { Setting } from './core/setting.js'
