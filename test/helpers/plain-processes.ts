/**
 * The test runner follows every process that a test starts: by variables in its environment, by options for Node, and by a hook on `spawn`. From the call of this
 * on the processes of a test file are started plainly, as in production: for tests that look at an environment or at a program's streams.
 */
export function startProcessesPlainly(): void {
  for (const name of Object.keys(process.env)) if (name === 'NODE_OPTIONS' || name.startsWith('_TAPJS_')) delete process.env[name]
  // Of the package process-on-spawn, which has its one state here.
  const hook = Reflect.get(globalThis, Symbol.for('process-on-spawn@*:singletonId')) as { readonly listeners: unknown[] } | undefined
  hook?.listeners.splice(0)
}
