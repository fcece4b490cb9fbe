type Point = readonly [x: number, y: number, z: number]
const NOWHERE: Point = [Number.NaN, Number.NaN, Number.NaN]

/** The parts of a CalculiX input deck that the example writes. Lengths in mm. */
export interface Deck {
  readonly nodes: ReadonlyMap<number, Point>
  /** Bricks by type, each with the coordinates of its nodes in the order of the deck. */
  readonly bricks: readonly { readonly type: string; readonly points: readonly Point[] }[]
  /** Node sets by name. */
  readonly sets: ReadonlyMap<string, readonly number[]>
  /** The first line of data under a keyword, as numbers. */
  readonly data: ReadonlyMap<string, readonly number[]>
  /** Supports: node set and fixed direction. */
  readonly supports: readonly string[]
}

export function parseDeck(text: string): Deck {
  const nodes = new Map<number, Point>()
  const elements: { type: string; numbers: number[] }[] = []
  const sets = new Map<string, number[]>()
  const data = new Map<string, number[]>()
  const supports: string[] = []
  for (const { keyword, parameters, lines } of blocksOf(text)) {
    const rows = lines.map((line) => line.split(',').flatMap((cell) => (cell.trim() === '' ? [] : [Number(cell)])))
    data.set(keyword, rows[0] ?? [])
    if (keyword === 'NODE') for (const [number = 0, ...point] of rows) nodes.set(number, pointOf(point))
    if (keyword === 'NSET') sets.set(parameters.get('NSET') ?? '', rows.flat())
    if (keyword === 'BOUNDARY') supports.push(...lines)
    if (keyword !== 'ELEMENT') continue
    const flat = rows.flat()
    for (let at = 0; at < flat.length; at += 21) elements.push({ type: parameters.get('TYPE') ?? '', numbers: flat.slice(at + 1, at + 21) })
  }
  const bricks = elements.map(({ type, numbers }) => ({ type, points: numbers.map((number) => nodes.get(number) ?? NOWHERE) }))
  return { nodes, bricks, sets, data, supports }
}

/**
 * Volume in mm³ of a brick with plane, upright faces, from its corners; negative if its nodes are in the wrong order.
 */
export function volumeOf(points: readonly Point[]): number {
  const at = (corner: number): Point => points[corner] ?? NOWHERE
  const height = [0, 1, 2, 3].reduce((sum, corner) => sum + (at(corner + 4)[2] - at(corner)[2]) / 4, 0)
  return (at(1)[0] - at(0)[0]) * (at(3)[1] - at(0)[1]) * height
}

function pointOf([x = Number.NaN, y = Number.NaN, z = Number.NaN]: readonly number[]): Point {
  return [x, y, z]
}

function blocksOf(text: string) {
  return text
    .split(/^\*/m)
    .slice(1)
    .map((block) => {
      const [head = '', ...lines] = block.trimEnd().split('\n')
      const [keyword = '', ...parameters] = head.split(',').map((word) => word.trim())
      const pairs = parameters.map((word): [string, string] => [word.split('=')[0] ?? '', word.split('=')[1] ?? ''])
      return { keyword, parameters: new Map(pairs), lines }
    })
}
