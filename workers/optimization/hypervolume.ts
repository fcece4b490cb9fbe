/** A box from the reference point to a point, by its lengths: greater is better. */
type Box = readonly number[]

/**
 * The volume that points dominate up to a reference point, with all objectives minimised. A point that is not better
 * than the reference point in every objective adds nothing. Exact: with up to three objectives by a sweep, with more by
 * slices along the last one, each the exclusive volume of a point (While, Bradstreet and Barone 2012, "A fast way of
 * calculating exact hypervolumes"). The cost multiplies with each objective.
 */
export function hypervolume(points: readonly (readonly number[])[], reference: readonly number[]): number {
  const boxes = points.map((point) => reference.map((end, k) => end - (point[k] ?? end)))
  return volume(
    boxes.filter((box) => box.every((length) => length > 0)),
    reference.length,
  )
}

/** The volume of a union of boxes in their first `dimensions` lengths. */
function volume(boxes: readonly Box[], dimensions: number): number {
  if (dimensions === 1) return boxes.reduce((longest, [length = 0]) => Math.max(longest, length), 0)
  if (dimensions === 2) return area(boxes.toSorted((a, b) => (b[0] ?? 0) - (a[0] ?? 0)))
  if (dimensions === 3) return slabs(boxes)
  const last = dimensions - 1
  const sorted = outermost(boxes, dimensions).sort((a, b) => (a[last] ?? 0) - (b[last] ?? 0))
  // Boxes behind a box reach at least as far in the last length. The part that they do not cover is a slice as high as
  // the box.
  return sorted.reduce((total, box, i) => {
    const overlaps = sorted.slice(i + 1).map((other) => other.map((length, k) => Math.min(length, box[k] ?? 0)))
    const base = box.slice(0, last).reduce((product, length) => product * length, 1)
    return total + (box[last] ?? 0) * (base - volume(overlaps, last))
  }, 0)
}

/** From the highest box down, between two heights: the area of all boxes at least as high. */
function slabs(boxes: readonly Box[]): number {
  const sorted = boxes.toSorted((a, b) => (b[2] ?? 0) - (a[2] ?? 0))
  let stairs: readonly Box[] = []
  return sorted.reduce((total, box, i) => {
    stairs = withStep(stairs, box)
    return total + area(stairs) * ((box[2] ?? 0) - (sorted[i + 1]?.[2] ?? 0))
  }, 0)
}

/**
 * Stairs with one more box, the widest first. Covered boxes are left out only for speed: most slices of a front are
 * covered.
 */
function withStep(stairs: readonly Box[], box: Box): readonly Box[] {
  if (stairs.some((other) => contains(other, box, 2))) return stairs
  const others = stairs.filter((other) => !contains(box, other, 2))
  const next = others.findIndex(([width = 0]) => width < (box[0] ?? 0))
  return others.toSpliced(next < 0 ? others.length : next, 0, box)
}

/** The area of the union of boxes, the widest first. */
function area(boxes: readonly Box[]): number {
  let total = 0
  let below = 0
  for (const [width = 0, height = 0] of boxes) {
    if (height <= below) continue
    total += width * (height - below)
    below = height
  }
  return total
}

/** The boxes that no other box contains; of equal ones the first. */
function outermost(boxes: readonly Box[], dimensions: number): Box[] {
  const kept: Box[] = []
  for (const box of boxes) {
    if (kept.some((other) => contains(other, box, dimensions))) continue
    const others = kept.filter((other) => !contains(box, other, dimensions))
    kept.splice(0, kept.length, ...others, box)
  }
  return kept
}

function contains(outer: Box, inner: Box, dimensions: number): boolean {
  for (let k = 0; k < dimensions; k++) if ((outer[k] ?? 0) < (inner[k] ?? 0)) return false
  return true
}
