import type { Command } from './command.js'
import { cancel, pause, resume, retry } from './commands/actions.js'
import { admin } from './commands/admin.js'
import { artifacts } from './commands/artifacts.js'
import { completion } from './commands/completion.js'
import { get } from './commands/get.js'
import { hub } from './commands/hub.js'
import { list } from './commands/list.js'
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
  list,
  get,
  logs,
  artifacts,
  series,
  cancel,
  retry,
  pause,
  resume,
  token,
  admin,
  completion: completion(() => COMMANDS),
}
