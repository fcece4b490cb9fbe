import { spawnSync } from 'node:child_process'

/** An error whose message is all that the user needs. */
export class BootstrapError extends Error {}

/** One line to the user; stdout is left to the program that runs afterwards. */
export function say(line) {
  process.stderr.write(`bootstrap: ${line}\n`)
}

/** Runs a command without a terminal: it cannot ask. Returns `{ status, output }`; the status is `null` where there is no such command. */
export function run(command, args, options) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return { status, output: `${stdout}${stderr}` }
}

/** Runs a command that must succeed; if it does not, its whole output is shown. */
export function mustRun(command, args, options) {
  const { status, output } = run(command, args, options)
  if (status === 0) return output
  process.stderr.write(output)
  throw new BootstrapError(`"${[command, ...args].join(' ')}" failed with exit code ${status}`)
}

/** Runs npm: the one that started us, else the one on the PATH. */
export function npm(args, options) {
  const started = process.env.npm_execpath
  const isNpm = started !== undefined && /npm-cli\.c?js$/.test(started)
  return isNpm ? mustRun(process.execPath, [started, ...args], options) : mustRun('npm', args, options)
}
