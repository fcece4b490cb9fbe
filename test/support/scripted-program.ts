import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Scripted solvers of the tests: `scripted-program.js <script>`. */
const SELF = fileURLToPath(import.meta.url)

/** Writes synchronously; blocks if nobody reads. */
function write(text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at)
}

function emit(event: object): void {
  write(`${JSON.stringify(event)}\n`)
}

function complete(summary: Record<string, number> = {}): void {
  emit({ type: 'completed', metrics_summary: summary })
}

/** Reports pids as the message of a progress, once all processes are ready. */
async function reportPids(...children: ChildProcess[]): Promise<void> {
  await Promise.all(children.map((child) => once(child, 'message')))
  emit({ type: 'progress', percent: 1, message: [process.pid, ...children.map(({ pid }) => pid)].join(' ') })
}

function another(script: string, options: { detached?: boolean } = {}): ChildProcess {
  return spawn(process.execPath, [SELF, script], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], ...options })
}

function forEver(): void {
  setInterval(() => {}, 60_000)
}

function deaf(): void {
  process.on('SIGTERM', () => {})
  forEver()
  process.send?.('deaf')
}

const SCRIPTS: Record<string, () => void | Promise<void>> = {
  /** Logs its input, working directory, arguments and environment. */
  echo: () => {
    const input: unknown = JSON.parse(readFileSync(0, 'utf8'))
    process.stderr.write(`${JSON.stringify({ input, cwd: process.cwd(), args: process.argv.slice(3), env: process.env })}\n`)
    complete()
  },
  /** Fails, so that the end of its log shows its input. */
  'echo-and-fail': () => {
    const { env } = process
    process.stderr.write(`input ${readFileSync(0, 'utf8')}\nrun ${env.RUNCAST_RUN_ID}\nvariables ${Object.keys(env).join(' ')}\n`)
    process.exitCode = 1
  },
  /** Computes something. */
  parabola: () => {
    const { fixed, place } = JSON.parse(readFileSync(0, 'utf8')) as { fixed: number; place: { x: number; y: number } }
    complete({ height: place.x ** 2 + place.y ** 2 + fixed })
  },
  /** Writes lines of all sorts. */
  talk: () => {
    write('plain text\n{"type":"unknown"}\n[1]\n{"no": "type"}\n{ broken\n')
    emit({ type: 'progress', percent: 50 })
    emit({ type: 'progress', percent: 20, phase: 'postprocessing', message: 'less', other: 1 })
    emit({ type: 'metric_update', metric_name: 'f', value: 1.5, unit: 'Hz' })
    write('{"type":"completed","metrics_summary":{"f":1.5}}') // the last line, without a newline
  },
  family: () => void reportPids(another('deaf')),
  deaf,
  'deaf-family': () => {
    deaf()
    void reportPids(another('deaf'))
  },
  /** Reports the pid of its parent too. */
  orphans: async () => {
    deaf()
    const child = another('deaf')
    await once(child, 'message')
    emit({ type: 'progress', percent: 1, message: `${process.pid} ${child.pid} ${process.ppid}` })
  },
  /** Ends and leaves a child behind that has its streams. */
  leaves: async () => {
    await reportPids(another('deaf'))
    complete()
    process.exit(0)
  },
  /** Ends and leaves a child in another process group, which a test ends. */
  'leaves-stranger': async () => {
    await reportPids(another('deaf', { detached: true }))
    complete()
    process.exit(0)
  },
  /** Ends and leaves a child that continues to write. */
  'leaves-talker': async () => {
    await reportPids(another('talks-on', { detached: true }))
    complete()
    process.exit(0)
  },
  'talks-on': () => {
    setInterval(() => write('still here\n'), 20)
    process.send?.('talking')
  },
  lingers: async () => {
    deaf()
    await reportPids()
    complete({ f: 1 })
  },
  /** Reports a failure of its own kind, and then ends like one that has succeeded. */
  'fails-with-code': () => {
    emit({ type: 'failed', error: 'line 7', code: 'bad_csv', retry_delay_ms: 5 })
    complete()
  },
  'fails-after': () => {
    complete()
    process.exit(3)
  },
  /** Answers SIGTERM with a result. */
  late: () => {
    process.on('SIGTERM', () => {
      complete({ late: 1 })
      process.exit(0)
    })
    void reportPids()
    forEver()
  },
  exit3: () => {
    process.stderr.write('cannot go on\n')
    process.exit(3)
  },
  killed: () => {
    process.kill(process.pid, 'SIGKILL')
    forEver()
  },
  nothing: () => {},
  'bad-event': () => {
    another('deaf')
    emit({ type: 'metric_update', metric_name: 'no\nname', value: '1', unit: 'Hz' })
    complete()
    deaf()
  },
  /** Writes more than a pipe holds. */
  flood: () => {
    for (let i = 1; i <= 20_000; i += 1) emit({ type: 'metric_update', metric_name: 'f', value: i, unit: 'Hz' })
    complete({ last: 20_000 })
  },
  'long-line': () => {
    write(`${JSON.stringify({ type: 'progress', percent: 1, message: 'x'.repeat(5_000_000) })}\n`)
    complete()
  },
  /** Does not read its input. */
  inattentive: () => {
    complete()
    process.exit(0)
  },
  silent: () => forEver(),
}

const script = SCRIPTS[process.argv[2] ?? '']
if (script) await script()
else throw new Error(`there is no script ${process.argv[2]}`)
