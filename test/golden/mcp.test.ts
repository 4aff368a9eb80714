import assert from 'node:assert/strict'
import { test } from 'node:test'
import { guardErrors } from '../../clients/mcp/index.ts'
import { kindOf, kinds } from '../../clients/mcp/refusal.ts'
import { refusals } from '../../src/core/decide.ts'
import { byName, difference, read, same, section } from './markdown.ts'

const page = read('docs/mcp.md')

const optionsOf = (file: string, name: string): string[] => {
  const [, members = ''] = new RegExp(`interface ${name} \\{([\\s\\S]*?)\\n\\}`).exec(read(file)) ?? []
  return [...members.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, option = '']) => option)
}

test('docs/mcp.md has every option of the guard and of the authority, and no other', () => {
  for (const [file, name, heading] of [
    ['clients/mcp/options.ts', 'McpGuardOptions', 'Options'],
    ['clients/mcp/remote.ts', 'RemoteAuthorityOptions', 'Who decides'],
  ] as const) {
    const options = optionsOf(file, name)
    assert.ok(options.length > 4)
    assert.deepEqual(difference(options, byName(section(page, heading)).keys()), same)
  }
})

test('docs/mcp.md has every error, and says how it is told', () => {
  const documented = byName(section(page, 'Failures'))
  assert.deepEqual(difference(Object.keys(guardErrors), documented.keys()), same)
  for (const [code, told] of Object.entries(guardErrors)) assert.equal(documented.get(code)?.[1], told)
})

test('docs/mcp.md says of every refusal code what kind it is, in the order in which kinds are told', () => {
  const documented = byName(section(page, 'What is answered'))
  assert.deepEqual([...documented.keys()], [...kinds])
  // A code of the library alone, which has a copy of the record that may be too old.
  for (const code of [...Object.keys(refusals), 'R_REPLICA']) {
    const told = [...documented].filter(([, cells]) => cells[3]?.includes(`\`${code}\``)).map(([kind]) => kind)
    assert.deepEqual(told, [kindOf([code])], code)
  }
})
