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

/** A Chromium of the system, closed in the teardown. Throws where there is none: `node scripts/bootstrap.mjs --chromium` installs one. */
export async function startChromium(t: Test): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: findChromium(), args: FLAGS, timeout: 120_000 })
  t.teardown(() => browser.close())
  return browser
}

function findChromium(): string {
  for (const name of NAMES) {
    try {
      return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
    } catch {
      // Not of this name.
    }
  }
  throw new Error(`There is no ${NAMES.join(', ')} here: run "node scripts/bootstrap.mjs --chromium".`)
}
