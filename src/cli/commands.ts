import type { Command } from './command.js'
import { hub } from './commands/hub.js'
import { token } from './commands/token.js'
import { worker } from './commands/worker.js'

/** THE table of commands, in the order of the help. */
export const COMMANDS: Readonly<Record<string, Command>> = { hub, worker, token }
