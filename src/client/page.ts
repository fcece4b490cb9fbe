/** The used part of `EventTarget`. */
interface Events {
  addEventListener(type: string, listener: () => void): void
  removeEventListener(type: string, listener: () => void): void
}

/** What a runtime has of a browser: a page has all of it, a worker has no document, Node has neither. */
interface Runtime extends Partial<Events> {
  readonly navigator?: { readonly onLine?: boolean }
  readonly document?: Events & { readonly visibilityState: string }
}

/** Whether the browser says that the machine has no network. */
export function isOffline(): boolean {
  return (globalThis as Runtime).navigator?.onLine === false
}

/**
 * Calls `wake` when the network is back, and when the page is visible, restored or no longer frozen: its timers and
 * sockets may have stopped meanwhile. Does nothing in Node. The returned function ends it.
 */
export function onWake(wake: () => void): () => void {
  const runtime = globalThis as Runtime
  const { document } = runtime
  const shown = () => document?.visibilityState === 'visible' && wake()
  const events: readonly (readonly [Partial<Events> | undefined, string, () => void])[] = [
    [runtime, 'online', wake],
    [runtime, 'pageshow', wake],
    [document, 'resume', wake],
    [document, 'visibilitychange', shown],
  ]
  for (const [target, type, listener] of events) target?.addEventListener?.(type, listener)
  return () => {
    for (const [target, type, listener] of events) target?.removeEventListener?.(type, listener)
  }
}
