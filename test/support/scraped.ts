/** A sample of an exposition. */
export interface Line {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** The result of one scrape. */
export interface Scraped {
  readonly text: string
  readonly lines: readonly Line[]
  /** Types by metric. */
  readonly types: ReadonlyMap<string, string>
  /** Sum of a metric over all samples with these labels; of a histogram its count. 0 without samples. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number
}

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/gy
const TYPES = ['counter', 'gauge', 'histogram']

/** Parses the text format of Prometheus, version 0.0.4. Throws for other input. */
export function readExposition(text: string): Scraped {
  const types = new Map<string, string>()
  const helped = new Set<string>()
  const lines: Line[] = []
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  for (const line of text.split('\n').filter((line) => line !== '')) {
    const [, what, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? []
    if (what === 'HELP') helped.add(name)
    else if (what === 'TYPE') {
      if (types.has(name) || !TYPES.includes(rest) || !helped.has(name)) throw new Error(line)
      types.set(name, rest)
    } else lines.push(readLine(line, types))
  }
  const sum: Scraped['sum'] = (name, labels = {}) => {
    const wanted = types.get(name) === 'histogram' ? `${name}_count` : name
    const found = lines.filter(
      (line) => line.name === wanted && Object.entries(labels).every(([label, value]) => line.labels[label] === value),
    )
    return found.reduce((total, { value }) => total + value, 0)
  }
  return { text, lines, types, sum }
}

function readLine(line: string, types: ReadonlyMap<string, string>): Line {
  const [, name = '', labelText = '', number = ''] = LINE.exec(line) ?? []
  const value = /^nan$/i.test(number) ? Number.NaN : Number(number.replace('Inf', 'Infinity'))
  const isKnown = types.has(name) || types.get(name.replace(/_(bucket|sum|count)$/, '')) === 'histogram'
  if (!isKnown || (Number.isNaN(value) && !/^nan$/i.test(number))) throw new Error(`no line of a metric: ${line}`)
  const labels = [...labelText.matchAll(LABEL)].map(([, label = '', text = '']) => [label, text] as const)
  if (labels.map(([label, text]) => `${label}="${text}"`).join() !== labelText) throw new Error(`no labels: ${line}`)
  return { name, labels: Object.fromEntries(labels), value }
}
