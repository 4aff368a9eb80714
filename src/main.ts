#!/usr/bin/env node
import { CommanderError } from 'commander'
import type { Io } from './cli/io.ts'
import { createProgram } from './cli/program.ts'
import { ConfigError, formatFaults } from './config.ts'
import { BridgeError, exitOf } from './core/errors.ts'

const usage = 64
const stopping = new AbortController()
for (const name of ['SIGTERM', 'SIGINT'] as const) process.on(name, () => stopping.abort())

// Whoever reads the output may have had enough of it: idp-bridge agents list | head
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})
// Nobody may read what goes wrong: the exit code still tells.
process.stderr.on('error', () => undefined)

const io: Io = {
  env: process.env,
  out: (text) => void process.stdout.write(`${text}\n`),
  err: (text) => void process.stderr.write(`${text}\n`),
  colour: process.stdout.isTTY === true && !process.env.NO_COLOR,
  progress: process.stderr.isTTY === true ? (line) => void process.stderr.write(`\r\u001b[K${line}`) : undefined,
  columns: process.stdout.isTTY === true ? process.stdout.columns : undefined,
  stop: stopping.signal,
  onHangup: (reload) => void process.on('SIGHUP', reload),
  die: (exit) => process.exit(exit),
}

const told = (error: unknown): string => {
  if (error instanceof ConfigError) return formatFaults(error.faults, error.source)
  if (!(error instanceof BridgeError)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  return `idp-bridge: ${error.message} (${error.code})${error.hint === undefined ? '' : `\n  ${error.hint}`}`
}

try {
  const program = createProgram(io, (exit) => {
    process.exitCode = exit
  })
  await program.parseAsync(process.argv)
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : usage
  else {
    io.err(told(error))
    process.exitCode = exitOf(error)
  }
}
