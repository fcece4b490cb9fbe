import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { invalidMessage } from '../protocol/json-value.js'
import { storeClock } from './store-clock.js'

type Validator = { Check(value: unknown): boolean; Errors(value: unknown): Parameters<typeof invalidMessage>[1] }

/** A schema is compiled once, with its first message, however many kinds speak it. */
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
 * Builds messages of these schemas, of either dialect: the type, then what names the job (`headOf`), the body, the time. A builder throws `TypeError` on a body
 * that its schema refuses.
 */
export function messageBuilder<M extends Readonly<Record<string, TSchema>>>(schemas: M, headOf: (id: string) => object) {
  return (type: keyof M & string, id: string, body: object): Readonly<Record<string, unknown>> => {
    const whole = { type, ...headOf(id), ...body, timestamp: storeClock.stamp() }
    const schema: TSchema | undefined = schemas[type]
    if (!schema) throw new TypeError(`${type}: there is no such message`)
    const validator = validatorOf(schema)
    if (!validator.Check(whole)) throw invalidMessage(whole, validator.Errors(whole))
    return whole
  }
}
