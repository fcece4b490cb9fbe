import type { Variable } from './problem.js'

/**
 * The value at this share (0 to 1) of a variable's range. Each value of a stepped variable has an equal part of the
 * range.
 */
export function valueAt(variable: Variable, share: number): number {
  const levels = levelsOf(variable)
  if (levels !== undefined) return valueOfLevel(variable, Math.min(Math.floor(share * levels), levels - 1))
  return bounded(variable, variable.min + share * (variable.max - variable.min))
}

/** The value of a variable that is nearest to this number. */
export function nearestValue(variable: Variable, value: number): number {
  const inside = bounded(variable, value)
  const levels = levelsOf(variable)
  return levels === undefined ? inside : valueOfLevel(variable, Math.min(levelOf(variable, inside), levels - 1))
}

/**
 * The value that a mutation of `from` towards `to` leads to. If a step is too long for it, the next value: otherwise
 * the value would never change.
 */
export function nextValue(variable: Variable, from: number, to: number): number {
  const value = nearestValue(variable, to)
  if (value !== from || to === from || variable.step === undefined) return value
  return nearestValue(variable, from + Math.sign(to - from) * variable.step)
}

/** Number of values of a stepped variable; undefined for a continuous one. */
function levelsOf({ min, max, step }: Variable): number | undefined {
  // (0.3 − 0) / 0.1 is a little less than 3.
  return step === undefined ? undefined : Math.floor((max - min) / step + 1e-9) + 1
}

function levelOf({ min, step = 1 }: Variable, value: number): number {
  return Math.round((value - min) / step)
}

function valueOfLevel(variable: Variable, level: number): number {
  // 0 + 3 · 0.1 is a little more than 0.3.
  return bounded(variable, variable.min + level * (variable.step ?? 0))
}

/** Plus 0: JSON has no −0. */
function bounded({ min, max }: Variable, value: number): number {
  return Math.min(Math.max(value, min), max) + 0
}
