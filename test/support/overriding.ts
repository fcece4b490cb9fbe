/** A proxy that replaces one method. Others are called on the object itself, because its fields are private. */
export function overriding<T extends object, K extends keyof T>(object: T, name: K, act: T[K]): T {
  const get = (target: T, key: string | symbol): unknown => {
    const member: unknown = Reflect.get(target, key)
    return key === name ? act : typeof member === 'function' ? member.bind(target) : member
  }
  return new Proxy(object, { get })
}
