/** A promise, and its ends in somebody else's hands. A rejection that nobody awaits is silent. */
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

/** A rejection that is silent where nobody awaits it. */
export function rejected(reason: Error): Promise<void> {
  const promise = Promise.reject<void>(reason)
  promise.catch(() => {})
  return promise
}
