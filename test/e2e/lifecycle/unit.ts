import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type LogLine, parseLine } from './log-line.js'

const READY_TIMEOUT_MS = 180_000
const STOP_TIMEOUT_MS = 30_000
const LINES_KEPT = 40

export interface UnitOptions {
  readonly name: string
  /** In build/, from here. */
  readonly module: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether it serves, asked until it does. */
  readonly isReady: (lines: readonly LogLine[]) => boolean | Promise<boolean>
  readonly onLine: (line: LogLine) => void
  /** Told of what no process may do: end by itself, or not end when told to. */
  readonly onFault: (fault: string) => void
}

/** One process of the system under test, started as in production, that can be killed, frozen and stopped. */
export class Unit {
  readonly name: string
  readonly #options: UnitOptions
  #child: ChildProcess | undefined
  #lines: LogLine[] = []
  /** Of the process before: one that cannot begin to serve is started again. */
  #linesBefore: readonly LogLine[] = []
  /** Whether its end is wanted, or it has not begun to serve yet. */
  #mayEnd = true
  /** What is under way with it; a second fault leaves it alone. */
  #isBusy = false

  constructor(options: UnitOptions) {
    this.#options = options
    this.name = options.name
  }

  get isUp(): boolean {
    return !this.#mayEnd && !this.#isBusy
  }

  get lastLines(): readonly LogLine[] {
    return this.#lines
  }

  /** Resolves once it serves. One that cannot begin, since Redis is away, is started again. */
  async start(): Promise<void> {
    const deadline = Date.now() + READY_TIMEOUT_MS
    while (Date.now() < deadline) {
      const child = this.#spawn()
      while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
        if (await Promise.resolve(this.#options.isReady(this.#lines)).catch(() => false)) {
          this.#mayEnd = false
          return
        }
        await sleep(25)
      }
      await this.#end('SIGKILL')
    }
    const said = [...this.#linesBefore, ...this.#lines].map((line) => JSON.stringify(line)).join('\n')
    throw new Error(`${this.name} did not begin to serve:\n${said}`)
  }

  /** Kills it and starts it again after a while. */
  kill(awayMs: number): Promise<boolean> {
    return this.#exclusively(async () => {
      await this.#end('SIGKILL')
      await sleep(awayMs)
      await this.start()
    })
  }

  /** Tells it to end, as a deploy does, and starts it again after a while. */
  restart(awayMs: number): Promise<boolean> {
    return this.#exclusively(async () => {
      const child = this.#child
      await this.stop()
      const end = child?.exitCode ?? child?.signalCode
      if (end !== 0) this.#options.onFault(`${this.name} ended with ${end} when told to stop: ${JSON.stringify(this.#lines.slice(-5))}`)
      await sleep(awayMs)
      await this.start()
    })
  }

  freeze(ms: number): Promise<boolean> {
    return this.#exclusively(async () => {
      this.#child?.kill('SIGSTOP')
      await sleep(ms)
      this.#child?.kill('SIGCONT')
    })
  }

  async stop(): Promise<void> {
    const killer = setTimeout(() => {
      this.#options.onFault(`${this.name} did not end within ${STOP_TIMEOUT_MS} ms when told to`)
      this.#child?.kill('SIGKILL')
    }, STOP_TIMEOUT_MS)
    await this.#end('SIGTERM')
    clearTimeout(killer)
  }

  /** For the end of this process, which is not to leave a frozen one behind. */
  drop(): void {
    this.#mayEnd = true
    this.#child?.kill('SIGKILL')
  }

  /** False where it is in other hands. */
  async #exclusively(act: () => Promise<void>): Promise<boolean> {
    if (!this.isUp) return false
    this.#isBusy = true
    await act().finally(() => {
      this.#isBusy = false
    })
    return true
  }

  #spawn(): ChildProcess {
    const { module, env } = this.#options
    const path = fileURLToPath(new URL(module, import.meta.url))
    const child = fork(path, { env, execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
    this.#child = child
    this.#mayEnd = true
    this.#linesBefore = this.#lines
    this.#lines = []
    for (const pipe of [child.stdout, child.stderr]) if (pipe) createInterface({ input: pipe }).on('line', (line) => this.#read(line))
    child.once('exit', (code, signal) => {
      if (!this.#mayEnd)
        this.#options.onFault(`${this.name} ended by itself with ${signal ?? code}: ${JSON.stringify(this.#lines.slice(-5))}`)
    })
    return child
  }

  #read(text: string): void {
    const line = parseLine(text)
    this.#lines.push(line)
    if (this.#lines.length > LINES_KEPT) this.#lines.shift()
    this.#options.onLine(line)
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#mayEnd = true
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }
}
