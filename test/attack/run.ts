/**
 * `npm run fuzz`: a million changed tokens, each also put to jose, in as many processes as there are processors.
 * `--cases`, `--seed`, `--no-differential`.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import process, { argv, stdout } from 'node:process'
import { parseArgs } from 'node:util'
import { type Fuzzed, fuzz } from './fuzz.ts'

const { values } = parseArgs({
  args: argv.slice(2),
  allowNegative: true,
  options: {
    cases: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '20261121' },
    differential: { type: 'boolean', default: true },
    part: { type: 'boolean', default: false },
  },
})
const [cases, seed] = [Number(values.cases), Number(values.seed)]
const { differential } = values

/** What a part tells the whole: its figures, or the one rule that was broken. */
type Told = { readonly fuzzed: Fuzzed } | { readonly broken: string }

const part = (): Promise<Told> =>
  fuzz({ cases, seed, differential }).then(
    (fuzzed) => ({ fuzzed }),
    (error: unknown) => ({ broken: error instanceof Error ? error.message : String(error) }),
  )

if (values.part) {
  process.send?.(await part())
} else {
  const started = performance.now()
  const parts = availableParallelism()
  const runs = Array.from({ length: parts }, async (_, n): Promise<Told> => {
    const share = Math.ceil(cases / parts)
    const args = [
      '--part',
      '--cases',
      `${share}`,
      '--seed',
      `${seed + n}`,
      ...(differential ? [] : ['--no-differential']),
    ]
    const child = fork(import.meta.filename, args)
    let told: Told | undefined
    child.on('message', (message: Told) => {
      told = message
    })
    const [code] = await once(child, 'exit')
    return told ?? { broken: `part ${n} (seed ${seed + n}) ended with ${code} and told nothing` }
  })
  const ends = await Promise.all(runs)
  const broken = ends.flatMap((end) => ('broken' in end ? [end.broken] : []))
  if (broken.length > 0) {
    stdout.write(`${broken.join('\n')}\n`)
    process.exit(1)
  }
  const results = ends.flatMap((end) => ('fuzzed' in end ? [end.fuzzed] : []))
  const sum = (of: (fuzzed: Fuzzed) => number) => results.reduce((total, one) => total + of(one), 0)
  const codes = new Map<string, number>()
  for (const { refused } of results) {
    for (const [code, n] of Object.entries(refused)) codes.set(code, (codes.get(code) ?? 0) + n)
  }
  const seconds = (performance.now() - started) / 1000
  const said = [...codes].sort(([, a], [, b]) => b - a).map(([code, n]) => `${code} ${n}`)
  stdout.write(
    `${sum((one) => one.cases)} changed tokens from seed ${seed} in ${seconds.toFixed(0)} s: none accepted, nothing thrown; ` +
      `${sum((one) => one.identical)} had come out unchanged\n  ${said.join(', ')}\n` +
      `  ${sum((one) => one.compared)} put to jose too: agreed on every signature; ${sum((one) => one.stricter)} refused here for their form alone\n`,
  )
}
