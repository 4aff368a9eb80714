import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { configs, hunts } from './configs.ts'
import { loadCore } from './core.ts'
import { mutants, quick } from './mutants.ts'
import { hunt } from './mutate.ts'
import { search } from './search.ts'
import { follow, walk } from './walk.ts'

const rules = join(import.meta.dirname, '../../src/core')
const core = await loadCore(rules)

for (const name of ['plain', 'confirm', 'outbound', 'deletes'] as const) {
  test(`the rules hold in every state that can be reached: ${name}`, () => {
    const config = hunts[name]
    assert.ok(config)
    const { found, complete } = search(core, config, { drainOneIn: 4 })
    assert.equal(found, undefined, `${found?.what}\n${found?.trace.join('\n')}`)
    assert.ok(complete)
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

test('nothing is forgotten that could tell two states apart', () => {
  for (const config of [...configs, ...Object.values(hunts)]) assert.equal(walk(core, config, 1, 250), undefined)
})

test('an enable in the tick of the disable that it takes back is not forgotten', () => {
  const config = configs.find(({ name }) => name === 'one agent, two directories, four flips')
  assert.ok(config)
  const disabled = ['the disable of a1 is recorded', 'the disable of a1 is sent after reading "identity on"']
  const again = ['an administrator switches a1 on', 'the answer to the disable of a1', 'a tick passes']
  const way = [
    ...['the runtime kills', 'an administrator switches a0 off', 'the disable of a1 is recorded', 'the kill of'],
    ...['the disable of a1 is sent after reading "identity on"', ...again],
    ...['the log is asked of a1 (attribute): 2 entries, complete until 0', 'an administrator switches a1 off'],
    ...['the enable of a1 is recorded', 'the enable of a1 is sent', 'the answer to the enable of a1'],
    ...['a listing says of a0 "identity off"', ...disabled, ...again, 'a tick passes'],
  ]
  assert.equal(follow(core, config, way), undefined)
})

test('what stands for other states hides none of them', async () => {
  for (const name of ['oneflip', 'lostlift', 'outbound'] as const) {
    const config = hunts[name]
    assert.ok(config)
    const [reduced, whole] = [search(core, config), search(core, config, { isReduced: false })]
    assert.ok(reduced.complete && whole.complete)
    assert.equal(reduced.distinct, whole.distinct, name)
    assert.ok(reduced.states < whole.states, name)
  }
  const fleet = hunts['pair']
  assert.ok(fleet)
  const [reduced, whole] = [search(core, fleet), search(core, fleet, { isReduced: false })]
  assert.ok(reduced.complete && whole.complete)
  assert.ok(reduced.distinct < whole.distinct && reduced.distinct * 2 >= whole.distinct)
  for (const text of quick) {
    const mutant = mutants.find((one) => one.text === text)
    assert.ok(mutant, text)
    const [one, other] = [await hunt(mutant), await hunt(mutant, 60_000, false)]
    assert.equal(one.result.found?.trace.length, other.result.found?.trace.length, text)
  }
})
