// primes.mjs
import { defineKind } from 'runcast'

export const primes = defineKind({
  name: 'primes',
  dialect: 'run',
  path: 'primes',
  idField: 'primes_id',
  phases: ['counting'],
  input: { type: 'object', properties: { below: { type: 'integer', minimum: 10, maximum: 100000000, default: 1000000 } } },
  thread: new URL('./primes-thread.mjs', import.meta.url),
})
