import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { hunts } from './configs.ts'
import { loadCore } from './core.ts'
import { mutants, quick } from './mutants.ts'
import { hunt } from './mutate.ts'
import { search } from './search.ts'

const rules = join(import.meta.dirname, '../../src/core')
const core = await loadCore(rules)

for (const name of ['plain', 'confirm', 'outbound', 'deletes'] as const) {
  test(`the rules hold in every state that can be reached: ${name}`, () => {
    const config = hunts[name]
    assert.ok(config)
    const { found } = search(core, config, { states: 6_000, drainOneIn: 4 })
    assert.equal(found, undefined, `${found?.what}\n${found?.trace.join('\n')}`)
  })
}

test('a search finds what a changed rule breaks, and the way there', async () => {
  for (const text of quick) {
    const mutant = mutants.find((one) => one.text === text)
    assert.ok(mutant, text)
    const { found } = (await hunt(mutant, 6_000)).result
    assert.ok(found, `not caught: ${text}`)
    assert.ok(found.trace.length > 1)
  }
})

test('every rule that is to be changed stands once in its file, and has a hunt', () => {
  for (const { file, hunt: name, text } of mutants) {
    assert.equal(readFileSync(join(rules, `${file}.ts`), 'utf8').split(text).length, 2, `${file}.ts: ${text}`)
    assert.ok(hunts[name], name)
  }
})
