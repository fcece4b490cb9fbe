import type { OptimizationSnapshot } from './optimization/messages.js'
import { emptyOptimization, foldOptimization, type OptimizationMessage, type OptimizationView } from './optimization/view.js'

/*
 * What the client knows of built-in kinds: their own messages and fields of a view. Imports nothing else of a kind, so
 * that the browser client stays small.
 */

export type KindView = OptimizationView
export type KindMessage = OptimizationMessage
export type KindSnapshot = OptimizationSnapshot

/** Changes of a view by a message of a kind's own; null for other messages. */
export function foldOwn(message: { readonly type: string }): Partial<KindView> | null {
  return foldOptimization(message)
}

/** Resets the fields of the kind for a new execution. */
export function resetOwn(view: KindView): Partial<KindView> {
  return emptyOptimization(view)
}
