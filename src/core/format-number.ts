/** Integers in full, other numbers with six significant digits. */
export function formatNumber(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(6)
}
