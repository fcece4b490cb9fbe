import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The scripted solvers of the tests: `scripted-program.js <script>`, a program like any other, in any language. */
const SELF = fileURLToPath(import.meta.url)

/** As plain as a program can write: at once, and waiting where nobody reads. */
function write(text: string): void {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at)
}

function tell(event: object): void {
  write(`${JSON.stringify(event)}\n`)
}

function complete(summary: Record<string, number> = {}): void {
  tell({ type: 'completed', metrics_summary: summary })
}

/** Where the tests read pids: as the message of a progress, once all of them are what they shall be. */
async function tellPids(...children: ChildProcess[]): Promise<void> {
  await Promise.all(children.map((child) => once(child, 'message')))
  tell({ type: 'progress', percent: 1, message: [process.pid, ...children.map(({ pid }) => pid)].join(' ') })
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
  /** Tells its input back, where it is, and the names in its environment as log. */
  echo: () => {
    const input: unknown = JSON.parse(readFileSync(0, 'utf8'))
    process.stderr.write(`${JSON.stringify({ input, cwd: process.cwd(), args: process.argv.slice(3), env: process.env })}\n`)
    complete()
  },
  /** Fails, so that whoever watches sees in the end of its log what it was given. */
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
  /** All sorts of lines. */
  talk: () => {
    write('plain text\n{"type":"unknown"}\n[1]\n{"no": "type"}\n{ broken\n')
    tell({ type: 'progress', percent: 50 })
    tell({ type: 'progress', percent: 20, phase: 'postprocessing', message: 'less', other: 1 })
    tell({ type: 'metric_update', metric_name: 'f', value: 1.5, unit: 'Hz' })
    write('{"type":"completed","metrics_summary":{"f":1.5}}') // the last line without its end
  },
  family: () => void tellPids(another('deaf')),
  deaf,
  'deaf-family': () => {
    deaf()
    void tellPids(another('deaf'))
  },
  /** Tells its parent as well. */
  orphans: async () => {
    deaf()
    const child = another('deaf')
    await once(child, 'message')
    tell({ type: 'progress', percent: 1, message: `${process.pid} ${child.pid} ${process.ppid}` })
  },
  /** Ends and leaves another one behind, that has its streams. */
  leaves: async () => {
    await tellPids(another('deaf'))
    complete()
    process.exit(0)
  },
  /** The same, where the other one has left the group. It ends when the test says so. */
  'leaves-stranger': async () => {
    await tellPids(another('deaf', { detached: true }))
    complete()
    process.exit(0)
  },
  /** The same, and the other one goes on writing. */
  'leaves-talker': async () => {
    await tellPids(another('talks-on', { detached: true }))
    complete()
    process.exit(0)
  },
  'talks-on': () => {
    setInterval(() => write('still here\n'), 20)
    process.send?.('talking')
  },
  lingers: async () => {
    deaf()
    await tellPids()
    complete({ f: 1 })
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
    void tellPids()
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
    tell({ type: 'metric_update', metric_name: 'no\nname', value: '1', unit: 'Hz' })
    complete()
    deaf()
  },
  /** More than anybody takes at once. */
  flood: () => {
    for (let i = 1; i <= 20_000; i += 1) tell({ type: 'metric_update', metric_name: 'f', value: i, unit: 'Hz' })
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
