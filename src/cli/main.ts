#!/usr/bin/env node
import { runCli } from './run-cli.js'

// A reader that has gone (`| head`) is no fault.
process.stdout.on('error', () => {})
const code = await runCli(process.argv.slice(2))
if (code !== undefined) process.exitCode = code
