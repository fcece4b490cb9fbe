#!/usr/bin/env node
import { runCli } from './run-cli.js'

// A reader that has gone (`| head`) is no fault.
process.stdout.on('error', () => {})
const code = await runCli(process.argv.slice(2))
// The command is over, whatever still waits for an answer or a timer; first what it has written has to be out.
if (code !== undefined) process.stdout.write('', () => process.exit(code))
