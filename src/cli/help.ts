import type { Command } from './command.js'

/** The list of all commands. */
export function helpOfAll(commands: Readonly<Record<string, Command>>): string {
  const lines = Object.entries(commands).map(([name, command]) => [synopsisOf(name, command), command.about] as const)
  return [
    'Usage: runcast <command> [options]',
    '',
    'Commands:',
    ...aligned(lines),
    '',
    '"runcast help <command>" lists its options; "runcast --version" prints the version.',
    '',
  ].join('\n')
}

/** What one command does, with its options. */
export function helpOf(name: string, command: Command): string {
  const options = Object.entries(command.options).map(
    ([option, { value, short, about }]) =>
      [`${short === undefined ? '' : `-${short}, `}--${option}${value === undefined ? '' : ` ${value}`}`, about] as const,
  )
  const usage = `Usage: runcast ${synopsisOf(name, command)}${options.length > 0 ? ' [options]' : ''}`
  const values = command.values.length > 0 ? [`<${command.operands[0]}> is one of ${command.values.join(', ')}.`] : []
  const blocks = [[usage], [command.about], aligned(options), [...values, ...command.notes]].filter((block) => block.length > 0)
  return `${blocks.map((block) => block.join('\n')).join('\n\n')}\n`
}

function synopsisOf(name: string, { operands, optional }: Command): string {
  return [name, ...operands.map((operand) => `<${operand}>`), ...optional.map((operand) => `[<${operand}>]`)].join(' ')
}

function aligned(lines: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(0, ...lines.map(([left]) => left.length))
  return lines.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`)
}
