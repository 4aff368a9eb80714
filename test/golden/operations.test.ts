import assert from 'node:assert/strict'
import { test } from 'node:test'
import { metricTable } from '../../src/lib/metrics.ts'
import { logLines } from './loglines.ts'
import { byName, difference, read, rows, same, section, sources } from './markdown.ts'
import { silentProgram } from './silent.ts'

const page = read('docs/operations.md')
const plain = (cell: string | undefined) => (cell ?? '').replaceAll('`', '')

test('docs/operations.md has every metric and no other, with its type and labels', () => {
  const documented = byName(section(page, 'Metrics'))
  const prefix = 'idp_bridge_'
  const requests = [...read('src/http/requests.ts').matchAll(/name: '(idp_bridge_\w+)'/g)].map(([, name]) => name ?? '')
  assert.ok(requests.length > 0)
  const wanted = [...Object.keys(metricTable).map((name) => prefix + name), ...requests]
  assert.deepEqual(difference(wanted, documented.keys()), same)
  for (const [name, { labels, type }] of Object.entries(metricTable)) {
    const [, told, with_, meaning] = documented.get(prefix + name) ?? []
    assert.equal(told, type, name)
    assert.equal(plain(with_), labels.length === 0 ? '—' : labels.join(', '), name)
    assert.ok(meaning, name)
  }
})

/** Alerts are raised by a code in place, by an outcome of the core, or by the answer of a hook. */
const alertCodes = (): Set<string> => {
  const code = [...sources('{src,adapters,outlets}/**/*.ts').values()].join('\n')
  const raised = [...code.matchAll(/\balert\(\s*'([a-z-]+)'/g)]
  const answered = [...code.matchAll(/\balert\b[^;\n{]{0,20}\{\s*code: '([a-z-]+)'/g)]
  const outcomes = [...read('src/core/mirror.ts').matchAll(/alert\?: ([^\n]+)/g)].flatMap(([, union]) => [
    ...(union ?? '').matchAll(/'([a-z-]+)'/g),
  ])
  for (const found of [raised, answered, outcomes]) assert.ok(found.length > 0)
  return new Set([...raised, ...answered, ...outcomes].map(([, name]) => name ?? ''))
}

test('docs/operations.md has every alert and no other, each with what to do', () => {
  const documented = byName(section(page, 'Alerts'))
  assert.deepEqual(difference(alertCodes(), documented.keys()), same)
  for (const [name, [, means, what]] of documented) assert.ok(means && what, name)
})

test('docs/operations.md has every line of the log and no other, with its level', () => {
  const documented = rows(section(page, 'Lines')).map(([line, level]) => `${level} ${plain(line)}`)
  const wanted = logLines()
  assert.ok(wanted.length > 40)
  assert.deepEqual(difference(wanted, documented), same)
})

test('docs/operations.md has every command', () => {
  const table = section(page, 'Run')
  for (const command of silentProgram().commands) {
    for (const sub of command.commands.length === 0 ? [command] : command.commands) {
      const name = sub === command ? command.name() : `${command.name()} ${sub.name()}`
      assert.ok(table.includes(`\`${name}`), name)
      for (const inner of sub.commands) assert.ok(table.includes(inner.name()), `${name} ${inner.name()}`)
    }
  }
})
