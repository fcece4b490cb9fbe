/** Numbers from 0 to 1, the same for the same seed: a Weyl sequence through the finalizer of MurmurHash3 (32 bits). */
export function randomNumbers(seed) {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let bits = state
    bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
    return ((bits ^ (bits >>> 16)) >>> 0) / 4294967296
  }
}
