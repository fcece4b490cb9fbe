#!/usr/bin/env node
import { runCli } from './run-cli.js'

// A reader that has gone (`| head`) is not an error.
process.stdout.on('error', () => {})
const code = await runCli(process.argv.slice(2))
// The command is complete, even if answers or timers are still pending. Its output must be flushed first.
if (code !== undefined) process.stdout.write('', () => process.exit(code))
