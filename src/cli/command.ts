import { parseArgs } from 'node:util'
import { CommandError, EXIT } from './exit-code.js'
import { suggestionFor } from './suggestion.js'

/** An option of a command. `value` names its argument, as `<seconds>`. Without it the option is a switch. */
export interface Option {
  readonly value?: `<${string}>`
  /** A letter for it: `o` for `-o`. */
  readonly short?: string
  /** It may be given more than once. */
  readonly isMany?: true
  /** All values that it may have. */
  readonly values?: readonly string[]
  readonly about: string
}

type Options = Readonly<Record<string, Option>>
/** The options that were given; others are absent. */
export type Given<O extends Options> = {
  readonly [N in keyof O]?: O[N] extends { readonly isMany: true }
    ? readonly string[]
    : O[N] extends { readonly values: readonly (infer V)[] }
      ? V
      : O[N] extends { readonly value: string }
        ? string
        : true
}

/** Declaration of a command. `run` resolves to an exit code, or to undefined if the process keeps running. */
export interface CommandSpec<O extends Options, P extends string, Q extends string> {
  /** One line: what it does. */
  readonly about: string
  /** Operands that must follow its name, in this order. */
  readonly operands: readonly P[]
  /** Operands that may follow them. */
  readonly optional?: readonly Q[]
  /** All values that the first operand may have. */
  readonly values?: readonly string[]
  readonly options: O
  /** Lines of its help below the options. */
  readonly notes?: readonly string[]
  run(operands: Readonly<Record<P, string> & Partial<Record<Q, string>>>, given: Given<O>): Promise<number | undefined>
}

/** A command in the table of commands. */
export interface Command {
  readonly about: string
  readonly operands: readonly string[]
  readonly optional: readonly string[]
  readonly values: readonly string[]
  readonly options: Options
  readonly notes: readonly string[]
  /** Throws `CommandError` for invalid arguments. */
  run(name: string, args: readonly string[]): Promise<number | undefined>
}

/** Makes a command whose arguments are parsed and typed as declared. */
export function defineCommand<const O extends Options, const P extends string, const Q extends string = never>(
  spec: CommandSpec<O, P, Q>,
): Command {
  const { about, operands, optional = [], values = [], options, notes = [] } = spec
  const run = (name: string, args: readonly string[]) => {
    const { values: given, positionals } = parse(name, args, options)
    const all = [...operands, ...optional]
    const [extra] = positionals.slice(all.length)
    if (extra !== undefined) throw usageError(name, `unexpected "${extra}"`)
    const missing = operands[positionals.length]
    if (missing !== undefined) throw usageError(name, `expected <${missing}>`)
    checkValue(name, `<${operands[0]}>`, positionals[0], values)
    for (const [option, { values }] of Object.entries(options)) checkValue(name, `--${option}`, given[option], values)
    // Each one that is not optional is there.
    const named = Object.fromEntries(all.map((operand, i) => [operand, positionals[i]])) as Record<P, string> & Partial<Record<Q, string>>
    return spec.run(named, given as Given<O>) // as `parse` has checked
  }
  return { about, operands, optional, values, options, notes, run }
}

/** An error of the command line, in one line. */
export function usageError(name: string, fault: string): CommandError {
  return new CommandError(`runcast ${name}: ${fault}; see "runcast help ${name}"`, EXIT.usage)
}

/** The value of an option as an integer of at least 1. Default: `fallback`. */
export function countOf(name: string, option: string, text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  const count = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < 1) throw usageError(name, `--${option}: expected an integer from 1`)
  return count
}

function checkValue(name: string, what: string, value: unknown, values: readonly string[] = []): void {
  if (typeof value !== 'string' || values.length === 0 || values.includes(value)) return
  throw usageError(name, `${what}: expected one of ${values.join(', ')}`)
}

function parse(name: string, args: readonly string[], options: Options) {
  const types = Object.entries(options).map(
    ([option, { value, short, isMany }]) =>
      [option, { type: value === undefined ? 'boolean' : 'string', multiple: isMany === true, ...(short && { short }) }] as const,
  )
  const config = { args: [...args], options: Object.fromEntries(types), allowPositionals: true }
  for (const token of parseArgs({ ...config, strict: false, tokens: true }).tokens)
    if (token.kind === 'option' && !Object.hasOwn(options, token.name)) throw unknownOption(name, token.rawName, options)
  try {
    return parseArgs({ ...config, strict: true })
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    // Use only its first sentence; the rest is advice on positional arguments.
    const [fault = ''] = error.message.split(/[.\n](?=\s|$)/)
    throw usageError(name, fault.charAt(0).toLowerCase() + fault.slice(1))
  }
}

function unknownOption(name: string, given: string, options: Options): CommandError {
  const known = suggestionFor(
    given,
    [...Object.keys(options), 'help'].map((option) => `--${option}`),
  )
  return usageError(name, `unknown option '${given}'${known === undefined ? '' : ` (did you mean '${known}'?)`}`)
}
