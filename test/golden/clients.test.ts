import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientErrors, gateCodes } from '../../clients/agt/index.ts'
import { byName, difference, read, same, section } from './markdown.ts'

const page = read('docs/clients/agt.md')

test('docs/clients/agt.md has every code of the client, and says how it is told', () => {
  const codes = section(page, 'Codes')
  const documented = byName(codes)
  assert.deepEqual(difference([...Object.keys(clientErrors), ...gateCodes], documented.keys()), same)
  for (const [code, told] of Object.entries(clientErrors)) assert.ok(documented.get(code)?.[1]?.startsWith(told), code)
})

const membersOf = (file: string, name: string): string[] => {
  const [, members = ''] = new RegExp(`interface ${name} [^{]*\\{([\\s\\S]*?)\\n\\}`).exec(read(file)) ?? []
  return [...members.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, member = '']) => member)
}

test('docs/verifier.md has every option of the verifier and no other, and every member of its staleness', () => {
  const options = membersOf('clients/verifier/options.ts', 'VerifierOptions')
  assert.ok(options.length > 5)
  const verifier = read('docs/verifier.md')
  assert.deepEqual(difference(options, byName(section(verifier, 'Options')).keys()), same)
  const [, told = ''] = /`staleness: \{ ([^}]+) \}`/.exec(verifier) ?? []
  assert.deepEqual(told.split(', '), membersOf('clients/verifier/verifier.ts', 'Staleness'))
})

test('docs/clients/agt.md has every option of attach and no other', () => {
  const options = membersOf('clients/agt/options.ts', 'AttachOptions')
  assert.ok(options.length > 10)
  assert.deepEqual(difference(options, byName(section(page, 'Options')).keys()), same)
})
