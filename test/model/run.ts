import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import process, { execPath, stdout } from 'node:process'
import { configs } from './configs.ts'
import { mutants } from './mutants.ts'
import type { Result } from './search.ts'

/** The whole search and every mutant, as many at once as there are processors. Fails with the traces of what was found. */
const workers = Math.max(1, Math.min(4, availableParallelism()))
const print = (line: string) => stdout.write(`${line}\n`)

const job = async (...args: string[]): Promise<string[]> => {
  const child = spawn(
    execPath,
    ['--max-old-space-size=1500', '--max-semi-space-size=64', join(import.meta.dirname, 'job.ts'), ...args],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  let text = ''
  for await (const part of child.stdout) text += String(part)
  const code = await new Promise<number | null>((resolve) => {
    if (child.exitCode !== null) resolve(child.exitCode)
    else child.once('close', resolve)
  })
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}`)
  return text.split('\n').filter((line) => line !== '')
}

const atOnce = async (jobs: readonly (() => Promise<void>)[]): Promise<void> => {
  const left = [...jobs]
  await Promise.all(
    Array.from({ length: workers }, async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) await next()
    }),
  )
}

const begun = performance.now()
const totals = { states: 0, transitions: 0, caught: 0, faults: 0 }

const searching = configs.map((config, at) => async () => {
  for (const line of await job('config', String(at))) {
    const { states, transitions, depth, seconds, complete, found }: Result = JSON.parse(line)
    totals.states += states
    totals.transitions += transitions
    const verdict = found === undefined ? (complete ? 'holds in every state' : 'holds as far as searched') : found.what
    print(`${config.name}: ${states} states, ${transitions} steps, depth ${depth}, ${seconds} s: ${verdict}`)
    if (found === undefined) continue
    totals.faults += 1
    for (const step of found?.trace ?? []) print(`    ${step}`)
  }
})

const slices = 8
const mutating = Array.from({ length: slices }, (_, slice) => async () => {
  for (const line of await job('mutants', String(slice), String(slices))) {
    const { at, found }: { at: number; found?: string } = JSON.parse(line)
    if (found !== undefined) {
      totals.caught += 1
      continue
    }
    totals.faults += 1
    const mutant = mutants[at]
    print(`not caught: ${mutant?.file}.ts: ${mutant?.text} -> ${mutant?.becomes}`)
  }
})

await atOnce([...searching, ...mutating])
const seconds = Math.round((performance.now() - begun) / 1000)
print(
  `${totals.states} states, ${totals.transitions} steps, ${totals.caught} of ${mutants.length} mutants caught, ${seconds} s`,
)
if (totals.faults > 0) process.exitCode = 1
