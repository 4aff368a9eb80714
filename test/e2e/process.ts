import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { env as environment, execPath } from 'node:process'
import { createInterface } from 'node:readline'
import { leash } from './leash.ts'

const root = resolve(import.meta.dirname, '../..')
export const main = resolve(root, 'src/main.ts')

export interface Ended {
  /** Undefined when a signal ended it. */
  readonly code: number | undefined
  readonly out: string
  readonly err: string
}

/** A child process of ours; disposing of it ends it and waits for that. */
export interface Process extends AsyncDisposable {
  readonly pid: number
  readonly lines: readonly string[]
  /** The first line, past or to come, that passes; rejects when the process ends without. */
  line(what: string, passes: (line: string) => boolean, timeoutMs?: number): Promise<string>
  signal(name: NodeJS.Signals): void
  ended(timeoutMs?: number): Promise<Ended>
}

export interface Start {
  readonly env?: Readonly<Record<string, string>>
  readonly program?: string
  /** What runs the program: this Node unless another is named. */
  readonly interpreter?: string
  readonly cwd?: string
  /** A command that starts the process, such as one that enters a namespace; it must keep its process id. */
  readonly within?: readonly string[]
}

export const startProcess = (
  args: readonly string[],
  { env = {}, program = main, interpreter = execPath, cwd = root, within = [] }: Start = {},
): Process => {
  const { PATH, NODE_COMPILE_CACHE } = environment
  const kept = { ...(PATH !== undefined && { PATH }), ...(NODE_COMPILE_CACHE !== undefined && { NODE_COMPILE_CACHE }) }
  const [command = interpreter, ...rest] = [...within, interpreter, program, ...args]
  const child: ChildProcess = spawn(command, rest, {
    cwd,
    env: { ...kept, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const { stdout, stderr, pid } = child
  if (stdout === null || stderr === null || pid === undefined) throw new Error(`${program} did not start`)
  leash(child)
  const lines: string[] = []
  const errors: string[] = []
  const looks = new Set<() => void>()
  const look = () => {
    for (const one of [...looks]) one()
  }
  const reader = createInterface({ input: stdout })
  reader.on('line', (line) => {
    lines.push(line)
    look()
  })
  stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString('utf8')))
  let over = false
  const closed = Promise.all([once(child, 'exit'), once(reader, 'close'), once(stderr, 'close')]).then(() => {
    over = true
    look()
  })

  return {
    pid,
    lines,
    line: (what, passes, timeoutMs = 60_000) =>
      new Promise((done, fail) => {
        let from = 0
        const timer = setTimeout(() => end(() => fail(told(`no line within ${timeoutMs} ms`))), timeoutMs)
        const told = (why: string) => new Error(`${what}: ${why}\n${lines.slice(-20).join('\n')}\n${errors.join('')}`)
        const end = (finish: () => void) => {
          clearTimeout(timer)
          looks.delete(see)
          finish()
        }
        const see = () => {
          const found = lines.slice(from).find(passes)
          from = lines.length
          if (found !== undefined) end(() => done(found))
          else if (over) end(() => fail(told('the process ended')))
        }
        looks.add(see)
        see()
      }),
    signal: (name) => {
      child.kill(name)
    },
    ended: async (timeoutMs = 60_000) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
      await closed
      clearTimeout(timer)
      return { code: child.exitCode ?? undefined, out: lines.join('\n'), err: errors.join('') }
    },
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await closed
    },
  }
}

/** Runs a command of `idp-bridge` to its end. */
export const run = async (args: readonly string[], options: Start = {}): Promise<Ended> => {
  await using child = startProcess(args, options)
  return await child.ended()
}
