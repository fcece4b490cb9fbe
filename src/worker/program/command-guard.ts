/*
 * The process between a worker and a program. It is started without arguments. It has the program's stdin, stdout and
 * stderr as its own, and an IPC channel to the worker. It starts the program that the first message names (`ToGuard`)
 * in a process group of its own, and reports the result (`FromGuard`). When the channel closes, it ends the program and
 * all processes that the program has started: SIGTERM, then SIGKILL. The kernel closes the channel of a killed worker
 * too. The guard ignores signals: only its worker decides. It never touches the three streams.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { FromGuard, ToGuard } from './messages.js'
import { signalGroup } from './process-group.js'

/** For a program whose worker is gone: another worker is about to take the execution. */
const END_MS = 2000

let isAlone = false

function start({ command, args, cwd, env }: ToGuard): void {
  let program: ChildProcess
  try {
    program = spawn(command, args, { cwd, env, detached: true, stdio: 'inherit' })
  } catch (error) {
    return sendLast({ type: 'failed', reason: String(error) })
  }
  const { pid } = program
  program.once('error', (error) => sendLast({ type: 'failed', reason: error.message }))
  if (pid === undefined) return // an error follows
  send({ type: 'started', pid })
  program.once('exit', (code, signal) => {
    // Processes that it has started and left behind: an execution that has ended must not compute any more.
    signalGroup(pid, 'SIGKILL')
    sendLast({ type: 'ended', exit: { code, signal } })
  })
  const end = () => {
    signalGroup(pid, 'SIGTERM')
    setTimeout(() => signalGroup(pid, 'SIGKILL'), END_MS)
  }
  if (isAlone) end()
  else process.once('disconnect', end)
}

/** A worker that is gone needs no message. The closed channel also causes `disconnect`. */
function send(message: FromGuard, then: () => void = () => {}): void {
  if (process.connected) process.send?.(message, undefined, undefined, then)
  else then()
}

function sendLast(message: FromGuard): void {
  send(message, () => process.exit(0))
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.once('disconnect', () => {
  isAlone = true
})
process.once('message', (message) => start(message as ToGuard)) // the one message that a worker sends
