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

test('docs/clients/agt.md has every option of attach and no other', () => {
  const [, members = ''] = /interface AttachOptions \{([\s\S]*?)\n\}/.exec(read('clients/agt/options.ts')) ?? []
  const options = [...members.matchAll(/^ {2}readonly (\w+)\??:/gm)].map(([, name = '']) => name)
  assert.ok(options.length > 10)
  assert.deepEqual(difference(options, byName(section(page, 'Options')).keys()), same)
})
