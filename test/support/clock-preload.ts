import { isMainThread } from 'node:worker_threads'
import { setClock } from './set-clock.js'

/** Preloaded in a process with a wrong clock, from its start or from the signal SIGURG on. */
const { CLOCK_AHEAD_MS, CLOCK_STEP_MS } = process.env
if (CLOCK_AHEAD_MS) setClock(Number(CLOCK_AHEAD_MS))
if (CLOCK_STEP_MS && isMainThread) process.on('SIGURG', () => void setClock(Number(CLOCK_STEP_MS)))
