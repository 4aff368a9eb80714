import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hunts } from './configs.ts'
import { loadCore } from './core.ts'
import type { Mutant } from './mutants.ts'
import { type Result, search } from './search.ts'

const core = join(import.meta.dirname, '../../src/core')

/** The rule that the changed core breaks, if the search finds one. */
export interface Hunted {
  readonly mutant: Mutant
  readonly result: Result
}

/** Searches a copy of the core with one rule changed. Throws when the rule is not there any more, or is there twice. */
export const hunt = async (mutant: Mutant, states = 150_000, isReduced = true): Promise<Hunted> => {
  const config = hunts[mutant.hunt]
  if (config === undefined) throw new Error(`no hunt ${mutant.hunt}`)
  const dir = mkdtempSync(join(tmpdir(), 'idp-mutant-'))
  try {
    cpSync(core, dir, { recursive: true })
    const file = join(dir, `${mutant.file}.ts`)
    const source = readFileSync(file, 'utf8')
    const found = source.split(mutant.text).length - 1
    if (found !== 1) throw new Error(`${mutant.file}.ts has ${found} times: ${mutant.text}`)
    writeFileSync(
      file,
      source.replace(mutant.text, () => mutant.becomes),
    )
    return { mutant, result: search(await loadCore(dir), config, { states, isReduced }) }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
