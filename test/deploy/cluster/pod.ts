import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Container, containerOf, type Workload } from '../objects.js'
import { probing } from './probe.js'

/** How the only container of a pod is run here: what stands for its image, with its environment. */
export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface PodOptions {
  readonly name: string
  /** Its address: one of 127/8, so that ports are those of the manifest. */
  readonly ip: string
  readonly workload: Workload
  /** Which of the versions of its workload it has. */
  readonly revision: number
  readonly command: Command
  /** It became ready, ceased to be, or is to end. */
  readonly onChange: () => void
}

/** How a pod ended: by itself when told to, or by SIGKILL when its grace period was over. */
export interface PodEnd {
  readonly name: string
  readonly code: number | null
  readonly isKilled: boolean
  readonly ms: number
}

/** Kubernetes gives what is left of the grace period after preStop, and no less than this. */
const LEAST_GRACE_MS = 2000
/** A container that ends again is started later each time, by so much; the first time at once. */
const RESTART_MS = 5000

/** A pod and its kubelet: one process, started again when it ends, under the probes of its manifest; ended by preStop, SIGTERM, and SIGKILL after its grace period. */
export class Pod {
  readonly options: PodOptions
  readonly #container: Container
  readonly #ending = new AbortController()
  #child: ChildProcess | undefined
  #isReady = false
  restarts = 0
  peakBytes = 0
  /** What it wrote to stderr last; why it did not start. */
  said = ''

  constructor(options: PodOptions) {
    this.options = options
    this.#container = containerOf(options.workload)
  }

  /** Ready to be sent connections: never while it is to end. */
  get isReady(): boolean {
    return this.#isReady && !this.isEnding
  }

  get isEnding(): boolean {
    return this.#ending.signal.aborted
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  start(): void {
    const { file, args, env } = this.options.command
    const child = spawn(file, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.said = (this.said + text).slice(-2000)
    })
    const over = new AbortController()
    child.once('exit', () => {
      over.abort()
      this.#setReady(false)
      if (this.isEnding) return
      this.restarts += 1
      setTimeout(() => this.isEnding || this.start(), RESTART_MS * (this.restarts - 1))
    })
    void this.#watch(AbortSignal.any([over.signal, this.#ending.signal]))
  }

  /** As a crash of the container, or a kernel short of memory, does it. */
  crash(): void {
    this.#child?.kill('SIGKILL')
  }

  /** Ends it for ever, as a deletion does: it is no longer ready at once, and its grace period begins. */
  async end(): Promise<PodEnd> {
    const begun = Date.now()
    const child = this.#child
    this.measure()
    this.#ending.abort()
    this.options.onChange()
    if (!child) throw new Error(`${this.options.name} was not started`)
    const graceMs = (this.options.workload.spec.template.spec.terminationGracePeriodSeconds ?? 30) * 1000
    const preStopMs = (this.#container.lifecycle?.preStop?.sleep?.seconds ?? 0) * 1000
    const exited = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : Promise.resolve([])
    await Promise.race([sleep(Math.min(preStopMs, graceMs)), exited])
    child.kill('SIGTERM')
    const late = new AbortController()
    const isKilled = await Promise.race([
      exited.then(() => false),
      sleep(Math.max(LEAST_GRACE_MS, graceMs - preStopMs), true, { signal: late.signal }).catch(() => true),
    ])
    late.abort()
    if (isKilled) child.kill('SIGKILL')
    await exited
    return { name: this.options.name, code: child.exitCode, isKilled, ms: Date.now() - begun }
  }

  /** Notes the most memory that its process has had so far. */
  measure(): number {
    try {
      const [, kib = '0'] = readFileSync(`/proc/${this.pid}/status`, 'utf8').match(/^VmHWM:\s+(\d+) kB$/m) ?? []
      this.peakBytes = Math.max(this.peakBytes, Number(kib) * 1024)
    } catch {
      // It has ended just now.
    }
    return this.peakBytes
  }

  /** First the startup probe alone; then readiness and liveness, which without a probe are taken for granted. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { startupProbe, readinessProbe, livenessProbe } = this.#container
    const { ip } = this.options
    if (startupProbe) {
      const started = new AbortController()
      await probing(startupProbe, this.#container, ip, AbortSignal.any([signal, started.signal]), (isHealthy) => {
        if (!isHealthy) this.crash()
        started.abort()
      })
    }
    if (signal.aborted) return
    if (readinessProbe) void probing(readinessProbe, this.#container, ip, signal, (isHealthy) => this.#setReady(isHealthy))
    else this.#setReady(true)
    if (livenessProbe) void probing(livenessProbe, this.#container, ip, signal, (isHealthy) => isHealthy || this.crash())
  }

  #setReady(isReady: boolean): void {
    if (this.#isReady === isReady) return
    this.#isReady = isReady
    this.options.onChange()
  }
}
