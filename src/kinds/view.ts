import type { OptimizationSnapshot } from './optimization/messages.js'
import { emptyOptimization, foldOptimization, type OptimizationMessage, type OptimizationView } from './optimization/view.js'

/*
 * What the client knows of single kinds: the messages and the fields of a view that a kind has beside those of any job. A list like that of the contracts; it
 * loads nothing else of them.
 */

export type KindView = OptimizationView
export type KindMessage = OptimizationMessage
export type KindSnapshot = OptimizationSnapshot

/** What a message of a kind's own changes in a view; null for one that no kind here has. */
export function foldOwn(message: { readonly type: string }): Partial<KindView> | null {
  return foldOptimization(message)
}

/** What a new round changes in what the kind has in the view. */
export function resetOwn(view: KindView): Partial<KindView> {
  return emptyOptimization(view)
}
