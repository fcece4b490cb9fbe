import { runMain } from '../../../src/app/process.js'
import { runChaos } from './chaos.js'
import { report } from './report.js'
import { longScale } from './scales.js'

/** `npm run chaos`: CHAOS_SECONDS (600) of faults, from CHAOS_SEED. The last line and the exit code say whether all held. */
async function main(): Promise<void> {
  const seconds = Number(process.env.CHAOS_SECONDS ?? 600)
  const seed = Number(process.env.CHAOS_SEED ?? Date.now() % 1e9)
  if (!(seconds >= 5 && Number.isSafeInteger(seed))) throw new Error('CHAOS_SECONDS is a number from 5 on, CHAOS_SEED an integer.')
  // So that whoever is frozen is ended too.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  process.stdout.write(`chaos for ${seconds} s, CHAOS_SEED=${seed}\n`)
  const verdict = await runChaos(seed, longScale(seconds))
  process.stdout.write(`${report(verdict)}\n`)
  const hasHeld = verdict.faults.size === 0
  process.stdout.write(hasHeld ? `all held: CHAOS_SEED=${seed}\n` : `NOT ALL HELD: CHAOS_SEED=${seed} CHAOS_SECONDS=${seconds}\n`)
  process.exitCode = hasHeld ? 0 : 1
}

await runMain(main)
