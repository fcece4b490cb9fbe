import { hertz, omegaSquared } from './frequency.js'
import { magnitude, type TipResponse } from './harmonic-sweep.js'

export interface Resonance {
  readonly frequencyHz: number
  readonly qualityFactor: number
}

/**
 * The resonance within a sweep, fitted to the three responses around its highest one. Near a mode with hysteretic
 * damping the response is A/(s − ω²) + R with s = ω₀²(1 + i/Q). Three complex values determine s, even between the
 * points of a coarse sweep (the single-mode fit of modal analysis; Ewins, Modal Testing, chapter 4). Undefined if the
 * three describe no damped resonance, or if there are fewer.
 */
export function fitResonance(responses: readonly TipResponse[]): Resonance | undefined {
  const peak = responses.reduce((best, response, i) => (magnitude(response) > magnitude(responses[best] ?? response) ? i : best), 0)
  const first = Math.min(Math.max(peak - 1, 0), responses.length - 3)
  const [a, b, c] = responses.slice(first, first + 3)
  if (!a || !b || !c) return undefined
  // H·s + R·ω² − (R·s + A) = H·ω² at each point; divided differences drop the constant, and a second one drops R.
  const byResponse = minus(slope(a, b, 0), slope(b, c, 0))
  const byProduct = minus(slope(a, b, 1), slope(b, c, 1))
  const square = byResponse.re ** 2 + byResponse.im ** 2
  const re = (byProduct.re * byResponse.re + byProduct.im * byResponse.im) / square
  const im = (byProduct.im * byResponse.re - byProduct.re * byResponse.im) / square
  if (!(re > 0 && im > 0)) return undefined
  return { frequencyHz: hertz(re), qualityFactor: re / im }
}

interface Complex {
  readonly re: number
  readonly im: number
}

const minus = (a: Complex, b: Complex): Complex => ({ re: a.re - b.re, im: a.im - b.im })

/** Divided difference over ω² of H·(ω²)^power between two responses. */
function slope(a: TipResponse, b: TipResponse, power: 0 | 1): Complex {
  const from = omegaSquared(a.frequencyHz)
  const to = omegaSquared(b.frequencyHz)
  const difference = (part: 're' | 'im') => (b[part] * to ** power - a[part] * from ** power) / (to - from)
  return { re: difference('re'), im: difference('im') }
}
