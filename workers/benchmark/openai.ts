import { isInstalled } from '../../src/config/optional-package.js'

export type OpenAIPackage = typeof import('openai')

/**
 * Loads the package `openai`, an optional peer. Rejects if it is not installed: another worker may have it at the next
 * attempt.
 */
export async function loadOpenAI(): Promise<OpenAIPackage> {
  if (!isInstalled('openai'))
    throw new Error('The package openai is not installed with this worker: benchmarks need it. Run "npm install openai" there, and retry.')
  return import('openai')
}
