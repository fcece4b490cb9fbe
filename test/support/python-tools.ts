import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Runs programs and modules with the packages of `test/clients/requirements.txt`; see `test/support/programs.ts`. */
export const PYTHON = 'runcast-python'

/** Programs that use a generated client of the HTTP interface. */
export const CLIENTS = fileURLToPath(new URL('../../../test/clients/', import.meta.url))

/** Why tests that need the tools are skipped; false if they are there. */
export const NO_PYTHON_TOOLS: string | false =
  spawnSync(PYTHON, ['-c', 'import schemathesis, openapi_python_client']).status === 0
    ? false
    : 'no tools of Python here: see node scripts/bootstrap.mjs --python-tools'
