/** A promise that is settled from outside. An unhandled rejection of it is ignored. */
export interface Deferred {
  readonly promise: Promise<void>
  resolve(): void
  reject(reason: Error): void
}

export function deferred(): Deferred {
  let resolve = () => {}
  let reject: Deferred['reject'] = () => {}
  const promise = new Promise<void>((accept, refuse) => {
    resolve = accept
    reject = refuse
  })
  promise.catch(() => {})
  return { promise, resolve, reject }
}

/** A rejected promise. Its rejection is ignored if nobody awaits it. */
export function rejected(reason: Error): Promise<void> {
  const promise = Promise.reject<void>(reason)
  promise.catch(() => {})
  return promise
}
