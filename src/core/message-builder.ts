import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { invalidMessage } from '../protocol/json-value.js'
import { storeClock } from './store-clock.js'

type Validator = { Check(value: unknown): boolean; Errors(value: unknown): Parameters<typeof invalidMessage>[1] }

/** Compiled at the first message; kinds may share a schema. */
const compiled = new WeakMap<TSchema, Validator>()

function validatorOf(schema: TSchema): Validator {
  let validator = compiled.get(schema)
  if (!validator) {
    validator = Compile(schema)
    compiled.set(schema, validator)
  }
  return validator
}

/**
 * Builds messages: `type`, the fields of `headOf`, the body, `timestamp` by `storeClock`. A builder throws `TypeError`
 * for a message that its schema rejects.
 */
export function messageBuilder<M extends Readonly<Record<string, TSchema>>>(schemas: M, headOf: (id: string) => object) {
  return (type: keyof M & string, id: string, body: object): Readonly<Record<string, unknown>> => {
    const whole = { type, ...headOf(id), ...body, timestamp: storeClock.stamp() }
    const schema: TSchema | undefined = schemas[type]
    if (!schema) throw new TypeError(`unknown message type ${type}`)
    const validator = validatorOf(schema)
    if (!validator.Check(whole)) throw invalidMessage(whole, validator.Errors(whole))
    return whole
  }
}
