#!/usr/bin/env node
/*
 * Draws the terminal picture of the README: runs the demo and writes docs/public/demo.svg with what it prints.
 * Some progress lines are omitted; nothing else is changed.
 * node docs/.vitepress/picture.mjs      after `npm run build`
 */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const COLUMNS = 110
const PROGRESS_LINES = 6
const LINE_HEIGHT = 18
const MARGIN = 16
const COLORS = { background: '#0f1419', text: '#d5dde5', dim: '#7c8a97', bar: '#3fb3b3' }

const lines = await demo()
writeFileSync(new URL('../public/demo.svg', import.meta.url), picture(shortened(lines)))

/** The lines that the demo prints, and before them its command. */
async function demo() {
  const program = fileURLToPath(new URL('../../build/src/cli/demo.js', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [program])
  return ['$ npm run demo', ...stdout.trimEnd().split('\n')]
}

/** Without most of the lines that only move the bar. */
function shortened(lines) {
  const bars = lines.filter(isBar)
  const kept = new Set(Array.from({ length: PROGRESS_LINES }, (_, i) => bars[Math.round((i * (bars.length - 1)) / (PROGRESS_LINES - 1))]))
  return lines.filter((line) => !isBar(line) || kept.has(line))
}

function isBar(text) {
  return /^[█░]/.test(text)
}

function picture(lines) {
  const width = Math.ceil(COLUMNS * 8.45) + 2 * MARGIN
  const height = lines.length * LINE_HEIGHT + 2 * MARGIN
  const rows = lines.map((text, i) => {
    const y = MARGIN + (i + 1) * LINE_HEIGHT - 5
    return `<text x="${MARGIN}" y="${y}" xml:space="preserve">${colored(text.trimEnd().slice(0, COLUMNS))}</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>What npm run demo prints</title>
<style>
text { font: 14px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: ${COLORS.text} }
.dim { fill: ${COLORS.dim} } .bar { fill: ${COLORS.bar} }
</style>
<rect width="100%" height="100%" rx="8" fill="${COLORS.background}"/>
${rows.join('\n')}
</svg>
`
}

function colored(text) {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return escaped
    .replace(/^(\$|Starting|Run|Completed)(?= )/, '<tspan class="dim">$1</tspan>')
    .replace(/^█+/, '<tspan class="bar">$&</tspan>')
    .replace(/(?<=^|>)░+/, '<tspan class="dim">$&</tspan>')
}
