import { spawnSync } from 'node:child_process'

/** An error whose message is all the user needs, without a stack. */
export class BootstrapError extends Error {}

/** Prints one line to stderr; stdout belongs to the program that runs afterwards. */
export function say(line) {
  process.stderr.write(`bootstrap: ${line}\n`)
}

/**
 * Runs a command that must succeed and returns its output. It has no terminal, so it cannot prompt. If it fails, its
 * whole output is printed.
 */
export function mustRun(command, args, options) {
  const piped = { encoding: 'utf8', maxBuffer: 2 ** 26, ...options, stdio: ['ignore', 'pipe', 'pipe'] }
  const { status, stdout, stderr } = spawnSync(command, args, piped)
  const output = `${stdout}${stderr}`
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
