import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Environment } from './shell.js'

export interface UnitOptions {
  readonly name: string
  readonly command: readonly string[]
  readonly env: Environment
  readonly graceMs: number
  readonly stopSignal: NodeJS.Signals
  /** Whether it is ready now. */
  readonly isHealthy: () => Promise<boolean>
}

const RESTART_MS = 200

/** One process in the place of a container: started again when it ends by itself, and ended by force after its stop period. */
export class Unit {
  readonly options: UnitOptions
  #child: ChildProcess | null = null
  #isWanted = false
  #log = ''

  constructor(options: UnitOptions) {
    this.options = options
  }

  get isWanted(): boolean {
    return this.#isWanted
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  get log(): string {
    return this.#log
  }

  start(): void {
    const [command = '', ...args] = this.options.command
    this.#isWanted = true
    const child = spawn(command, args, {
      env: { PATH: process.env.PATH, ...this.options.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    this.#child = child
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data: Buffer) => (this.#log += data))
    child.on('error', (error) => (this.#log += error.message))
    child.on('exit', () => {
      if (this.#isWanted && this.#child === child) setTimeout(() => this.#isWanted && this.start(), RESTART_MS)
    })
  }

  /** Resolves with the exit code; 137 where it had to be ended by force. */
  async stop(): Promise<number> {
    this.#isWanted = false
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? 0
    const timer = setTimeout(() => child.kill('SIGKILL'), this.options.graceMs)
    const ended = once(child, 'exit')
    child.kill(this.options.stopSignal)
    const [code] = await ended
    clearTimeout(timer)
    return code ?? 137
  }

  kill(): void {
    this.#child?.kill('SIGKILL')
  }
}
