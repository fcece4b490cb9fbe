// primes-thread.mjs
import { setImmediate as nextTurn } from 'node:timers/promises'
import { JobFailure, serveJobs } from 'runcast/worker'

serveJobs(async ({ below }, job) => {
  if (below % 10 !== 0) throw new JobFailure('invalid_input', `below: expected a multiple of 10, got ${below}`)
  const sieve = new Uint8Array(below)
  let count = 0
  for (let n = 2; n < below; n += 1) {
    if (n % 10000 === 0) {
      job.progress({ percent: (100 * n) / below, phase: 'counting', message: `${count} primes below ${n}` })
      await nextTurn()
      job.signal.throwIfAborted()
    }
    if (sieve[n]) continue
    count += 1
    for (let multiple = n * n; multiple < below; multiple += n) sieve[multiple] = 1
  }
  job.metric('primes', count, '')
  return { metrics_summary: { primes: count } }
})
