export * from './create-jobs.js'
export { Refusal } from './protocol/codes.js'
export type { Position } from './protocol/entry.js'
export type { InputOf, KindName } from './protocol/kinds.js'
