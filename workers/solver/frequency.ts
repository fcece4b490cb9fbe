/** ω² in rad²/s² of a frequency in Hz. */
export function omegaSquared(hz: number): number {
  return (2 * Math.PI * hz) ** 2
}

/** Frequency in Hz of an eigenvalue ω² in rad²/s². */
export function hertz(lambda: number): number {
  return Math.sqrt(lambda) / (2 * Math.PI)
}
