import { version } from '../app/version.js'
import { COMMANDS } from './commands.js'
import { CommandError, EXIT, errorObject } from './exit-code.js'
import { helpOf, helpOfAll } from './help.js'
import { jsonLine } from './plain-text.js'
import { suggestionFor } from './suggestion.js'

/**
 * Runs the command line. Resolves to the exit code, or to undefined if the process keeps running. An error is printed
 * as one line on stderr, with `--json` as a JSON object.
 */
export async function runCli(args: readonly string[]): Promise<number | undefined> {
  try {
    return await dispatch(args)
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    if (message !== '') process.stderr.write(`${ownOptions(args).includes('--json') ? jsonLine(errorObject(error)) : message}\n`)
    return error instanceof CommandError ? error.exitCode : EXIT.failed
  }
}

async function dispatch([name, ...args]: readonly string[]): Promise<number | undefined> {
  if (name === undefined) throw new CommandError('runcast: expected a command; see "runcast help"', EXIT.usage)
  if (name === '--version' || name === '-v') return print(`${version()}\n`)
  if (name === '--help' || name === '-h') return print(helpOfAll(COMMANDS))
  if (name === 'help') return print(args[0] === undefined ? helpOfAll(COMMANDS) : helpOf(args[0], commandOf(args[0])))
  const command = commandOf(name)
  const own = ownOptions(args)
  if (own.includes('--help') || own.includes('-h')) return print(helpOf(name, command))
  return command.run(name, args)
}

function commandOf(name: string) {
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (command !== undefined) return command
  const known = suggestionFor(name, [...Object.keys(COMMANDS), 'help'])
  const hint = known === undefined ? '' : ` (did you mean "${known}"?)`
  throw new CommandError(`runcast: unknown command "${name}"${hint}; see "runcast help"`, EXIT.usage)
}

/** Arguments before `--`: those that may be options. */
function ownOptions(args: readonly string[]): readonly string[] {
  return args.slice(0, args.includes('--') ? args.indexOf('--') : args.length)
}

function print(text: string): number {
  process.stdout.write(text)
  return EXIT.ok
}
