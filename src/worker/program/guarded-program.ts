import { type ChildProcess, fork } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Exit, FromGuard, ToGuard } from './messages.js'
import { signalGroup } from './process-group.js'

const GUARD = fileURLToPath(new URL('./command-guard.js', import.meta.url))
/** Between asking a program to end and ending it, where nobody else keeps the time. */
const END_MS = 2000

/**
 * A program in a process group of its own, which ends with this process, however that ends (see command-guard.ts). Costs a second, small Node process for
 * as long as the program runs. What leaves the group by making a session of its own is left alone.
 */
export class GuardedProgram {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /** Resolves with how the program ended, when nothing of its group is left. Rejects where it could not be started, or its guard was lost: both say nothing of the program. */
  readonly ended: Promise<Exit>
  #pid: number | undefined
  /** What was asked for before there was a program. */
  #asked: NodeJS.Signals | undefined
  #wasSignalled = false
  #hasEnded = false
  #timer: NodeJS.Timeout | undefined

  /** Throws where the system has no room for another process. */
  constructor(program: ToGuard) {
    // Nothing of the worker's environment, and none of its options, such as a debugger's port.
    const guard = fork(GUARD, [], { detached: true, env: {}, execArgv: [], stdio: ['pipe', 'pipe', 'pipe', 'ipc'] })
    const ended = this.#endOf(guard)
    ended.catch(() => {})
    const { stdin, stdout, stderr } = guard
    if (!stdin || !stdout || !stderr) throw new Error('The guard of the program could not be started.')
    this.ended = ended
    this.stdin = stdin
    this.stdout = stdout
    this.stderr = stderr
    // A program that does not read its input has not failed.
    stdin.on('error', () => {})
    guard.send(program, () => {}) // where it does not arrive, the channel is closed
  }

  /** Whether it was told to end. */
  get wasSignalled(): boolean {
    return this.#wasSignalled
  }

  /** Asks the whole group to end. */
  terminate(): void {
    this.#signal('SIGTERM')
  }

  /** Ends the whole group by force. */
  kill(): void {
    this.#signal('SIGKILL')
  }

  /** The one, and after a while the other; `afterMs`: unless it has ended by itself until then. */
  end(afterMs = 0): void {
    if (this.#hasEnded) return
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.terminate()
      this.#timer = setTimeout(() => this.kill(), END_MS)
    }, afterMs)
  }

  #endOf(guard: ChildProcess): Promise<Exit> {
    const ended = new Promise<Exit>((resolve, reject) => {
      guard.on('message', (message: FromGuard) => {
        if (message.type === 'started') this.#started(message.pid)
        else if (message.type === 'ended') resolve(message.exit)
        else reject(new Error(`The program could not be started: ${message.reason}`))
      })
      guard.on('error', (error) => reject(new Error(`The guard of the program could not be started: ${error.message}`)))
      // After the last message. Where there was none that tells the end, the guard itself was killed.
      guard.once('disconnect', () => {
        if (this.#pid !== undefined) signalGroup(this.#pid, 'SIGKILL')
        reject(new Error('The guard of the program was lost.'))
      })
    })
    return ended.finally(() => {
      this.#hasEnded = true
      this.#pid = undefined
      clearTimeout(this.#timer)
    })
  }

  #started(pid: number): void {
    this.#pid = pid
    if (this.#asked) signalGroup(pid, this.#asked)
  }

  #signal(signal: NodeJS.Signals): void {
    this.#wasSignalled = true
    if (this.#pid === undefined) this.#asked = signal
    else signalGroup(this.#pid, signal)
  }
}
