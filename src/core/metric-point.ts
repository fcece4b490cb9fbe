import Type from 'typebox'
import { Compile } from 'typebox/compile'
import { invalidMessage, shortened, shown } from '../protocol/json-value.js'
import { MAX_TEXT, MetricName } from '../protocol/run-messages.js'

/** A report of a metric. `step`: its x; null: the seconds since the start of the attempt. */
export interface MetricPoint {
  readonly name: string
  readonly value: number
  readonly unit: string
  readonly step: number | null
}

const named = Compile(Type.Object({ metric_name: MetricName }))

/**
 * Checks a report of a metric. `options`: `{unit, step}`, or only the unit. The unit is shortened. Throws `TypeError`
 * with the path and the value for a name that is not valid and for numbers that are not finite.
 */
export function metricPoint(name: unknown, value: unknown, options?: unknown): MetricPoint {
  const said = { type: 'metric_update', metric_name: name }
  if (!named.Check(said)) throw invalidMessage(said, named.Errors(said))
  const { unit, step } = typeof options === 'object' && options !== null ? (options as Partial<MetricPoint>) : { unit: options, step: null }
  const point = { name: said.metric_name, value: finite(name, 'value', value), unit: shortened(textOf(unit), MAX_TEXT.unit) }
  return { ...point, step: step === undefined || step === null ? null : finite(name, 'step', step) }
}

/** Without -0, which JSON does not keep. */
function finite(name: unknown, field: string, value: unknown): number {
  if (typeof value !== 'number' || !Number.isFinite(value))
    throw new TypeError(`metric ${shown(name)}: /${field}: ${shown(value)} is not a finite number`)
  return value + 0
}

/** A value as text; empty for objects, functions, null and undefined. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') return value
  return value === undefined || value === null || typeof value === 'object' || typeof value === 'function' ? '' : String(value)
}
