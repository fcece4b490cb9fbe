import { readFileSync } from 'node:fs'

/** A metric that a panel of the dashboard reads, with the labels that it needs. */
export interface Asked {
  readonly panel: string
  readonly metric: string
  readonly labels: readonly string[]
}

interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[]
}

/** Added by Prometheus. */
const OF_TARGETS = ['instance', 'job']

/** What the panels of deploy/grafana/runcast.json ask Prometheus for. */
export function askedByDashboard(): Asked[] {
  const file = new URL('../../../deploy/grafana/runcast.json', import.meta.url)
  const { panels } = JSON.parse(readFileSync(file, 'utf8')) as { readonly panels: readonly Panel[] }
  return panels.flatMap(({ title: panel, targets = [] }) =>
    targets.flatMap(({ expr, legendFormat }) => {
      const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/g)].flatMap(([, names = '']) => names.split(/,\s*/))
      const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, name = '']) => name)
      return [...expr.matchAll(/\b((?:runcast|nodejs|process)_\w+)(?:\{([^}]*)\})?/g)].map(([, metric = '', selector = '']) => {
        const selected = [...selector.matchAll(/(\w+)\s*(?:=~|!~|!=|=)/g)].map(([, name = '']) => name)
        const labels = [...new Set([...grouped, ...shown, ...selected])].filter((name) => !OF_TARGETS.includes(name))
        return { panel, metric, labels }
      })
    }),
  )
}
