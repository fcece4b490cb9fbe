const Real = Date

/** Sets the clock of this process so many ms ahead of the real one; the clock that is never set goes on. The function that it returns sets it right. */
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
