import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitepress'

const ROOT = new URL('../../', import.meta.url)
const DOCS = fileURLToPath(new URL('docs/', ROOT))
const { repository } = JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8'))
/** Address of the sources, for links that leave the site; undefined as long as package.json names no repository. */
const sources = repository && `${(repository.url ?? repository).replace(/^git\+|\.git$/g, '')}/blob/main`

const page = (link) => ({ text: titleOf(link), link: `/${link}` })
const group = (text, ...links) => ({ text, items: links.map(page) })

/** The title of a page is its first heading: the sidebar has no second list of them. */
function titleOf(link) {
  const text = readFileSync(`${DOCS}${link.endsWith('/') ? `${link}index` : link}.md`, 'utf8')
  return /^# (.+)$/m.exec(text)[1].replaceAll('`', '')
}

const RECORDS = readdirSync(`${DOCS}internals/adr`).filter((name) => /^\d/.test(name))

/** TypeDoc writes these pages before the site is built. */
const API = { text: 'TypeScript API', link: '/reference/api/overview' }

const SIDEBAR = [
  group(
    'Guide',
    'guide/getting-started',
    'guide/concepts',
    'guide/define-a-kind',
    'guide/watch-from-a-browser',
    'guide/watch-from-node',
    'guide/other-languages',
    'guide/curl',
    'guide/authentication',
    'guide/embedding',
  ),
  group('Kinds of jobs', 'kinds/run', 'kinds/solvers', 'kinds/optimization', 'kinds/benchmark'),
  group(
    'Operate',
    'operate/one-machine',
    'operate/many-machines',
    'operate/compose',
    'operate/kubernetes',
    'operate/proxies',
    'operate/access',
    'operate/scaling',
    'operate/health',
    'operate/metrics',
    'operate/tracing',
    'operate/artifacts',
    'operate/alerts',
    'operate/backup',
    'operate/upgrading',
    'operate/failures',
    'operate/troubleshooting',
  ),
  {
    text: 'Reference',
    items: [
      page('reference/settings'),
      page('reference/codes'),
      page('reference/metrics'),
      page('reference/cli'),
      page('reference/rest'),
      page('reference/sockets'),
      page('reference/protocol'),
      page('reference/library'),
      page('reference/guarantees'),
      API,
    ],
  },
  group('Internals', 'internals/architecture', 'internals/testing', 'internals/glossary'),
  {
    text: 'Decision records',
    collapsed: true,
    items: ['README', ...RECORDS.map((name) => name.slice(0, -3))].map((name) => page(`internals/adr/${name}`)),
  },
  group(
    'Comparison',
    'comparison/index',
    'comparison/bullmq-events',
    'comparison/socket-io',
    'comparison/centrifugo',
    'comparison/trigger-dev',
    'comparison/durable-streams',
  ),
]

export default defineConfig({
  title: 'runcast',
  description: 'Live progress of long-running jobs',
  lang: 'en',
  cleanUrls: true,
  vite: { build: { chunkSizeWarningLimit: 2000 } }, // the index of the search is one file
  rewrites: { 'internals/adr/README.md': 'internals/adr/index.md' },
  markdown: { config: (markdown) => markdown.use(diagrams).use(outerLinks) },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [
      { text: 'Guide', link: '/guide/getting-started', activeMatch: '^/guide/' },
      { text: 'Operate', link: '/operate/one-machine', activeMatch: '^/operate/' },
      { text: 'Reference', link: '/reference/settings', activeMatch: '^/reference/' },
      { text: 'Internals', link: '/internals/architecture', activeMatch: '^/internals/' },
    ],
    sidebar: SIDEBAR,
  },
})

/** A code block of the language `mermaid` is shown as a diagram. */
function diagrams(markdown) {
  const { fence } = markdown.renderer.rules
  markdown.renderer.rules.fence = (tokens, index, ...rest) => {
    const { info, content } = tokens[index]
    return info === 'mermaid' ? `<Diagram source="${encodeURIComponent(content)}" />` : fence(tokens, index, ...rest)
  }
}

/**
 * A link to a file outside of this folder leads to the repository; its target must exist. Without an address of the
 * repository only its text remains.
 */
function outerLinks(markdown) {
  markdown.core.ruler.push('outer-links', ({ tokens, env }) => {
    const inline = tokens.flatMap(({ children }) => children ?? [])
    for (const [i, token] of inline.entries()) {
      const href = token.type === 'link_open' ? token.attrGet('href') : null
      const path = href && !/^[a-z]+:|^[#/]/.test(href) ? posix.join('docs', posix.dirname(env.relativePath), href) : null
      if (path === null || path.startsWith('docs/')) continue
      if (!existsSync(new URL(path.split('#', 1)[0], ROOT))) throw new Error(`${env.relativePath}: dead link ${href}`)
      if (sources) token.attrSet('href', `${sources}/${path}`)
      else
        for (const end of [token, inline.slice(i).find(({ type }) => type === 'link_close')])
          Object.assign(end, { type: 'text', tag: '', content: '', nesting: 0 })
    }
  })
}
