import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { execPath } from 'node:process'
import { createInterface } from 'node:readline'

/** Another process that has the store open; see child.ts. */
export interface Child {
  readonly lines: string[]
  /** Resolves with the first line that begins with the text. */
  line(start: string): Promise<string>
  kill(): Promise<void>
  exited(): Promise<number | null>
}

const program = new URL('child.ts', import.meta.url).pathname

/** `limitKiB`: no file of the child may grow beyond; further writes to it fail with an I/O error. */
export const startChild = (file: string, mode: 'hold' | 'write', limitKiB?: number): Child => {
  const run =
    limitKiB === undefined
      ? spawn(execPath, [program, file, mode], { stdio: ['ignore', 'pipe', 'inherit'] })
      : spawn('bash', ['-c', `ulimit -f ${limitKiB} && exec "$@"`, 'bash', execPath, program, file, mode], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
  const lines: string[] = []
  const waiting = new Map<string, (line: string) => void>()
  const reader = createInterface({ input: run.stdout })
  reader.on('line', (line) => {
    lines.push(line)
    for (const [start, tell] of waiting) if (line.startsWith(start)) tell(line)
  })
  const closed = Promise.all([once(run, 'exit'), once(reader, 'close')])
  return {
    lines,
    line: (start) => {
      const known = lines.find((line) => line.startsWith(start))
      if (known !== undefined) return Promise.resolve(known)
      const ended = closed.then((): never => {
        throw new Error(`the child ended without "${start}": ${lines.join(', ')}`)
      })
      const told = new Promise<string>((resolve) => waiting.set(start, resolve))
      return Promise.race([told, ended])
    },
    kill: async () => {
      run.kill('SIGKILL')
      await closed
    },
    exited: async () => {
      await closed
      return run.exitCode
    },
  }
}
