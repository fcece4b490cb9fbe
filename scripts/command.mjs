import { spawn } from 'node:child_process'

/** An error whose message is all that the user needs. */
export class BootstrapError extends Error {}

/** One line to the user; stdout is left to the program that runs afterwards. */
export function say(line) {
  process.stderr.write(`bootstrap: ${line}\n`)
}

/** Runs a command that has no terminal to ask at. Never rejects: `{ status, output }`, 127 when there is no such command. */
export function run(command, args, options = {}) {
  return new Promise((resolve) => {
    let output = ''
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text
      })
    }
    child.on('error', (error) => resolve({ status: 127, output: error.message }))
    child.on('close', (status) => resolve({ status: status ?? 1, output }))
  })
}

/** Runs a command that must succeed; if it does not, its whole output is shown. */
export async function mustRun(command, args, options) {
  const { status, output } = await run(command, args, options)
  if (status === 0) return
  process.stderr.write(output)
  throw new BootstrapError(`"${[command, ...args].join(' ')}" failed with exit code ${status}`)
}

/** npm as `[command, ...arguments]`: the one that started us, else the one on the PATH. */
export function npm(env = process.env) {
  const started = env.npm_execpath
  if (started !== undefined && /npm-cli\.c?js$/.test(started)) return [process.execPath, started]
  return ['npm']
}
