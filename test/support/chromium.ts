import { execFileSync } from 'node:child_process'
import { type Browser, chromium } from 'playwright-core'
import type { Test } from 'tap'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome']
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** The Chromium on PATH, closed in the teardown. `npm run test:e2e` provides one. */
export async function startChromium(t: Test): Promise<Browser> {
  const env = { ...process.env, XDG_CONFIG_HOME: t.testdir() } // keeps its crash reports out of the user's settings
  const browser = await chromium.launch({ executablePath: findChromium(), args: FLAGS, env, timeout: 120_000 })
  t.teardown(() => browser.close())
  return browser
}

function findChromium(): string {
  for (const name of NAMES) {
    try {
      return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
    } catch {
      // Try the next name.
    }
  }
  throw new Error(`There is no ${NAMES.join(', ')} here: run "node scripts/bootstrap.mjs --chromium".`)
}
