import { spawnSync } from 'node:child_process'

/** An error whose message is all the user needs, without a stack. */
export class BootstrapError extends Error {}

/** Prints one line to stderr; stdout belongs to the program that runs afterwards. */
export function say(line) {
  process.stderr.write(`bootstrap: ${line}\n`)
}

/**
 * Runs a command without a terminal, so it cannot prompt. Returns `{ status, output }`; `status` is null if there is no
 * such command.
 */
export function run(command, args, options) {
  const { status, stdout, stderr } = spawnSync(command, args, {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return { status, output: `${stdout}${stderr}` }
}

/** Runs a command that must succeed. If it fails, its whole output is printed. */
export function mustRun(command, args, options) {
  const { status, output } = run(command, args, options)
  if (status === 0) return output
  process.stderr.write(output)
  throw new BootstrapError(`"${[command, ...args].join(' ')}" failed with exit code ${status}`)
}

/** Runs npm: the one that started this process, else the one on PATH. */
export function npm(args, options) {
  const started = process.env.npm_execpath
  const isNpm = started !== undefined && /npm-cli\.c?js$/.test(started)
  return isNpm ? mustRun(process.execPath, [started, ...args], options) : mustRun('npm', args, options)
}
