import type { Command } from 'commander'
import { createProgram } from '../../src/cli/program.ts'

/** The program as it is, for its description: what it would print goes nowhere. */
export const silentProgram = (): Command =>
  createProgram(
    {
      env: {},
      out: () => undefined,
      err: () => undefined,
      colour: false,
      stop: new AbortController().signal,
      onHangup: () => undefined,
      die: () => undefined,
    },
    () => undefined,
  )
