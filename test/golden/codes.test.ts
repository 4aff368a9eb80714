import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refusals } from '../../src/core/decide.ts'
import { errorTable } from '../../src/core/errors.ts'
import { byName, difference, read, same, section, sources } from './markdown.ts'

const page = read('docs/errors.md')
const documented = byName(page)
const starting = (prefix: string) => [...documented.keys()].filter((name) => name.startsWith(prefix))

test('docs/errors.md has every error code and no other', () => {
  assert.deepEqual(difference(Object.keys(errorTable), starting('E_')), same)
})

test('docs/errors.md says who acts, whether to retry, the status and the exit code as the table does', () => {
  for (const [code, { act, exit, retry, status }] of Object.entries(errorTable)) {
    const [, meaning, acts, again, http, ends, mend] = documented.get(code) ?? []
    const told = { act: acts, retry: again, status: http, exit: ends }
    assert.deepEqual(told, { act, retry: retry ? 'yes' : 'no', status: `${status}`, exit: `${exit}` }, code)
    assert.ok(meaning && mend, code)
  }
})

test('docs/errors.md has every refusal and no other, in the order of the table', () => {
  assert.deepEqual(starting('R_'), Object.keys(refusals))
})

test('docs/errors.md has every issue of validate and no other', () => {
  const code = [...sources('src/**/*.ts').values()].join('\n')
  const literal = [...code.matchAll(/'(V_[A-Z_]+)'/g)].map(([, name]) => name ?? '')
  const templates = [...code.matchAll(/`V_\$\{([^}]+)\}/g)].map(([, inner]) => inner)
  assert.deepEqual(templates, ['agent.status.toUpperCase()'])
  assert.deepEqual(difference([...literal, 'V_SUSPENDED', 'V_DECOMMISSIONED'], starting('V_')), same)
})

test('docs/operations.md has every exit code that an error has', () => {
  const table = section(read('docs/operations.md'), 'Exit codes')
  const exits = [...table.matchAll(/^\| (\d+) +\|/gm)].map(([, exit]) => exit ?? '')
  const used = Object.values(errorTable).map(({ exit }) => `${exit}`)
  // 2 says that there are differences, which is no error.
  assert.deepEqual(difference(['0', '2', ...used], exits), same)
})
