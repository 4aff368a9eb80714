import { join } from 'node:path'
import { argv, stdout } from 'node:process'
import { configs, hunts } from './configs.ts'
import { loadCore } from './core.ts'
import { mutants } from './mutants.ts'
import { hunt } from './mutate.ts'
import { search } from './search.ts'

/** One search in a process of its own: `config <n> <states> <seconds>`, `hunt <name> <states>` or `mutants <first> <step>`; a line of JSON for each result. */
const [kind, first, step, most] = argv.slice(2)
const say = (line: unknown) => stdout.write(`${JSON.stringify(line)}\n`)
const rules = join(import.meta.dirname, '../../src/core')

if (kind === 'config') {
  const config = configs[Number(first)]
  if (config === undefined) throw new Error(`no configuration ${first}`)
  say(search(await loadCore(rules), config, { states: Number(step), seconds: Number(most), drainOneIn: 8 }))
} else if (kind === 'hunt') {
  const config = hunts[first ?? '']
  if (config === undefined) throw new Error(`no hunt ${first}`)
  say(search(await loadCore(rules), config, { states: Number(step) }))
} else {
  for (let at = Number(first); at < mutants.length; at += Number(step)) {
    const mutant = mutants[at]
    if (mutant === undefined) break
    const { found, states, seconds } = (await hunt(mutant)).result
    say({ at, found: found?.what, states, seconds })
  }
}
