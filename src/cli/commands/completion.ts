import { type Command, defineCommand } from '../command.js'
import { completionOf, SHELLS } from '../completion.js'
import { EXIT } from '../exit-code.js'

/** Prints a script for the completion of these commands. `commands` is called when they are all there. */
export const completion = (commands: () => Readonly<Record<string, Command>>) =>
  defineCommand({
    about: 'Prints a script that completes commands, options and values in a shell.',
    operands: ['shell'],
    values: SHELLS,
    options: {},
    notes: [
      'bash: source <(runcast completion bash)',
      'zsh: source <(runcast completion zsh), after compinit',
      'fish: runcast completion fish | source',
    ],
    run: async ({ shell }) => {
      const known = SHELLS.find((name) => name === shell) ?? 'bash' // one of `values`
      process.stdout.write(completionOf(known, commands()))
      return EXIT.ok
    },
  })
