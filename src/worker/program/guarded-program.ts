import { type ChildProcess, fork } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import type { Exit, FromGuard, ToGuard } from './messages.js'
import { signalGroup } from './process-group.js'

const GUARD = fileURLToPath(new URL('./command-guard.js', import.meta.url))
/** Time in ms between SIGTERM and SIGKILL if no caller controls it. */
const END_MS = 2000

/**
 * A program in a process group of its own. It ends with this process, however this process ends (see command-guard.ts).
 * It costs a second, small Node process while the program runs. A process that leaves the group by starting its own
 * session is not ended.
 */
export class GuardedProgram {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable
  /**
   * Resolves with how the program ended, once no process of its group is left. Rejects if it could not be started, or
   * if its guard was lost: neither says anything about the program.
   */
  readonly ended: Promise<Exit>
  #pid: number | undefined
  /** The signal that was requested before the program had started. */
  #asked: NodeJS.Signals | undefined
  #wasSignalled = false
  #hasEnded = false
  #timer: NodeJS.Timeout | undefined

  /** Throws if the operating system cannot start another process. */
  constructor(program: ToGuard) {
    // Without the worker's environment, and without its options, such as a debugger's port.
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
    guard.send(program, () => {}) // if it does not arrive, the channel is closed
  }

  /** Whether it was asked to end. */
  get wasSignalled(): boolean {
    return this.#wasSignalled
  }

  /** Sends SIGTERM to the whole group. */
  terminate(): void {
    this.#signal('SIGTERM')
  }

  /** Sends SIGKILL to the whole group. */
  kill(): void {
    this.#signal('SIGKILL')
  }

  /** Sends SIGTERM and later SIGKILL, unless the program ends by itself within `afterMs`. */
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
      // After the last message. If no message reported the end, the guard itself was killed.
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
