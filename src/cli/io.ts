/** What a command is given of the process; `main.ts` is the only file that touches it. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  out(text: string): void
  err(text: string): void
  /** Colours are wanted: a terminal, and NO_COLOR is not set. */
  readonly colour: boolean
  /** Shows a line in place of the one before, on standard error; '' takes it away. Undefined where that is no terminal. */
  readonly progress?: ((line: string) => void) | undefined
  /** Width of the terminal that output goes to; undefined when it is none. */
  readonly columns?: number | undefined
  /** Aborts at SIGTERM or SIGINT. */
  readonly stop: AbortSignal
  /** Called at SIGHUP. */
  onHangup(reload: () => void): void
  /** Ends the process at once: only for a store that can no longer be trusted. */
  die(exit: number): void
}

export const paint = (io: Pick<Io, 'colour'>) => {
  const wrap = (code: string) => (text: string) => (io.colour ? `\u001b[${code}m${text}\u001b[0m` : text)
  return { bold: wrap('1'), dim: wrap('2'), red: wrap('31'), green: wrap('32'), yellow: wrap('33') }
}
