const Real = Date

/**
 * Shifts the wall clock of this process by `ms`; monotonic clocks are unchanged. Returns a function that restores it.
 */
export function setClock(aheadMs: number): () => void {
  const now = () => Real.now() + aheadMs
  globalThis.Date = new Proxy(Real, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
  })
  return () => {
    globalThis.Date = Real
  }
}
