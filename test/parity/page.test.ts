import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { difference, read, root, rows, same, section } from '../golden/markdown.ts'

const numbered = (letter: string, count: number) => Array.from({ length: count }, (_, at) => `${letter}${at + 1}`)
/** Of the acceptance tests of AGT's Python modules for Entra. */
const cases = [...numbered('A', 33), ...numbered('G', 16), ...numbered('V', 13)]

const page = read('docs/coming-from-agt.md')
const table = rows(section(page, 'Cases'))

/** Whether the file has that test; in this folder one whose title begins with the case. */
const has = (file: string, name: string | undefined, id: string): boolean => {
  if (!existsSync(join(root, file))) return false
  const text = read(file)
  if (name === undefined) {
    const titles = [...text.matchAll(/\btest\(\s*['"`]([^:'"`]+):/g)].map(([, ids]) => ids ?? '')
    return titles.some((ids) => ids.split(', ').includes(id))
  }
  const called = name.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`(['"\`]${called}['"\`],|^def ${called}\\()`, 'm').test(text)
}

test('docs/coming-from-agt.md has every case once', () => {
  const named = table.map(([id = '']) => id)
  assert.deepEqual(difference(cases, named), same)
  assert.equal(new Set(named).size, named.length)
})

test('every case has a test that exists, or the reason why the bridge does something else', () => {
  for (const [id = '', theirs, ours = '', held = ''] of table) {
    assert.ok(theirs && ours, id)
    const stated = ours.startsWith('**Different:** ')
    if (held === '—') {
      assert.ok(stated, `${id} has neither a test nor a reason`)
      continue
    }
    for (const one of held.split('<br>')) {
      const [, file = '', name] = /^`([^`]+)`(?:: (.+))?$/.exec(one) ?? []
      assert.ok(name !== undefined || file.startsWith('test/parity/'), `${id}: ${one} names no test`)
      assert.ok(has(file, name, id), `${id}: there is no test ${one}`)
    }
  }
})

test('every test of this folder that is named by a case is on the page', () => {
  for (const file of ['registry', 'groups', 'tokens', 'settings'].map((name) => `test/parity/${name}.test.ts`)) {
    const ids = [...read(file).matchAll(/\btest\(\s*'([AGV]\d+(?:, [AGV]\d+)*):/g)].flatMap(([, all = '']) =>
      all.split(', '),
    )
    assert.ok(ids.length > 0, file)
    for (const id of ids) {
      const [, , , held = ''] = table.find(([named]) => named === id) ?? []
      assert.ok(held.includes(`\`${file}\``), `${id} of ${file}`)
    }
  }
})
