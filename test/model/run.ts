import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import process, { argv, execPath, stdout } from 'node:process'
import { parseArgs } from 'node:util'
import { configs } from './configs.ts'
import { mutants } from './mutants.ts'
import type { Result } from './search.ts'

/**
 * The whole search and every mutant, as many at once as there are processors. Fails with the traces of what was found.
 * `--deep` searches without a bound what is too wide for every day, too, and changes no rules; `--cap <states>` and
 * `--minutes <n>` bound each search; `--only <text>` takes the configurations that have it in their names.
 */
const { values } = parseArgs({
  args: argv.slice(2),
  options: {
    deep: { type: 'boolean', default: false },
    cap: { type: 'string' },
    minutes: { type: 'string', default: 'Infinity' },
    only: { type: 'string', default: '' },
  },
})
const cap = values.cap ?? (values.deep ? 'Infinity' : '1500000')
const most = Number(values.minutes) * 60
const isWhole = !values.deep && values.only === ''
const workers = Math.max(1, Math.min(4, availableParallelism()))
const print = (line: string) => stdout.write(`${line}\n`)

const job = async (...args: string[]): Promise<string[]> => {
  const child = spawn(
    execPath,
    [
      `--max-old-space-size=${values.deep ? 8000 : 1500}`,
      '--max-semi-space-size=64',
      join(import.meta.dirname, 'job.ts'),
      ...args,
    ],
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
const totals = { states: 0, transitions: 0, ended: 0, caught: 0, faults: 0 }

const report = ({ config, found }: Result): void => {
  if (found === undefined) return
  totals.faults += 1
  print(`${config}: ${found.what}`)
  for (const step of found.trace) print(`    ${step}`)
}

const searched = configs.filter(({ name, isDeep }) => name.includes(values.only) && (values.deep || !isDeep))
const searching = searched.map((config) => async () => {
  for (const line of await job('config', String(configs.indexOf(config)), cap, String(most))) {
    const result: Result = JSON.parse(line)
    const { states, transitions, depth, seconds, complete } = result
    totals.states += states
    totals.transitions += transitions
    totals.ended += complete ? 1 : 0
    const verdict = complete ? 'holds in every state' : 'capped, holds as far as searched'
    const says = result.found?.what ?? verdict
    print(`${config.name}: ${states} states, ${transitions} steps, depth ${depth}, ${seconds} s: ${says}`)
    report(result)
  }
})

/** How far each hunt had to go: so far it must find nothing in the rules as they are. */
const wanted = new Map<string, number>()
const slices = 8
const mutating = Array.from({ length: slices }, (_, slice) => async () => {
  for (const line of await job('mutants', String(slice), String(slices))) {
    const { at, found, states }: { at: number; found?: string; states: number } = JSON.parse(line)
    if (found !== undefined) {
      totals.caught += 1
      const hunt = mutants[at]?.hunt ?? ''
      wanted.set(hunt, Math.max(wanted.get(hunt) ?? 0, states))
      continue
    }
    totals.faults += 1
    const mutant = mutants[at]
    print(`not caught: ${mutant?.file}.ts: ${mutant?.text} -> ${mutant?.becomes}`)
  }
})

await atOnce([...searching, ...(isWhole ? mutating : [])])
const confirming = [...wanted].map(([hunt, states]) => async () => {
  for (const line of await job('hunt', hunt, String(states))) report(JSON.parse(line))
})
await atOnce(confirming)
const seconds = Math.round((performance.now() - begun) / 1000)
print(
  `${totals.states} states, ${totals.transitions} steps, ${totals.ended} of ${searched.length} to the fixpoint, ${totals.caught} of ${isWhole ? mutants.length : 0} mutants caught, ${seconds} s`,
)
if (totals.faults > 0) process.exitCode = 1
