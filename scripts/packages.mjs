import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { BootstrapError, npm, say } from './command.mjs'

/**
 * Whether node_modules matches package-lock.json, by npm's own record of what it installed. An interrupted installation
 * has no record, and an `npm ci` or `npm install` by hand counts too. True without a package-lock.json.
 */
export function arePackagesInstalled(root) {
  const installed = packagesOf(join(root, 'node_modules', '.package-lock.json'))
  return Object.entries(packagesOf(join(root, 'package-lock.json'))).every(([path, { optional, version, integrity }]) => {
    if (path === '') return true
    const present = installed[path]
    return present === undefined ? optional === true : present.version === version && present.integrity === integrity
  })
}

export function installPackages(root, mayInstall) {
  if (!mayInstall) throw new BootstrapError('node_modules does not match package-lock.json: run "npm ci"')
  say('installing the packages (npm ci)')
  // --include=dev: the compiler is needed even with NODE_ENV=production.
  npm(['ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=error'], { cwd: root })
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages
  } catch (error) {
    if (error.code === 'ENOENT') return {}
    throw error
  }
}
