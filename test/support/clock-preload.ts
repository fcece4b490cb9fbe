import { isMainThread } from 'node:worker_threads'
import { setClock } from './set-clock.js'

/** Loaded before all else in a process whose clock is wrong: from the beginning, or from the signal SIGURG on. */
const { CLOCK_AHEAD_MS, CLOCK_STEP_MS } = process.env
if (CLOCK_AHEAD_MS) setClock(Number(CLOCK_AHEAD_MS))
if (CLOCK_STEP_MS && isMainThread) process.on('SIGURG', () => void setClock(Number(CLOCK_STEP_MS)))
