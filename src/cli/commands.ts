import type { Command } from './command.js'
import { admin } from './commands/admin.js'
import { artifacts } from './commands/artifacts.js'
import { cancel } from './commands/cancel.js'
import { hub } from './commands/hub.js'
import { logs } from './commands/logs.js'
import { series } from './commands/series.js'
import { start } from './commands/start.js'
import { submit } from './commands/submit.js'
import { token } from './commands/token.js'
import { watch } from './commands/watch.js'
import { worker } from './commands/worker.js'

/** THE table of commands, in the order of the help. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  start,
  hub,
  worker,
  submit,
  watch,
  logs,
  cancel,
  artifacts,
  series,
  token,
  admin,
}
