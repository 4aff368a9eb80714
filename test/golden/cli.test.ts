import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Command } from 'commander'
import { read, section } from './markdown.ts'
import { silentProgram } from './silent.ts'

const all = (command: Command, path: readonly string[] = []): (readonly [string, Command])[] => [
  [path.join(' '), command],
  ...command.commands.flatMap((one) => all(one, [...path, one.name()])),
]
const commands = all(silentProgram())
const flags = (command: Command): string[] => command.options.flatMap(({ long }) => long ?? [])

const page = read('docs/cli.md')
const operations = section(read('docs/operations.md'), 'Run')
const everywhere = ['--url', '--token-file', '--ca-file', '--json']

test('the help of every command fits 80 columns, says what it is for and describes each option', () => {
  assert.ok(commands.length > 40)
  for (const [name, command] of commands) {
    let text = ''
    command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: () => 80 })
    command.outputHelp()
    for (const line of text.split('\n')) assert.ok(line.length <= 80, `${name}: ${line.length} columns: ${line}`)
    assert.notEqual(command.description(), '', name)
    for (const { description, long } of command.options) assert.notEqual(description, '', `${name} ${long}`)
  }
})

test('docs/cli.md has a section for each command that talks to a daemon, with every option', () => {
  const wanted = commands.filter(([name]) =>
    /^(agents|holds) \w+$|^(plan|doctor|discover|events|completion)$/.test(name),
  )
  assert.ok(wanted.length >= 12)
  for (const [name, command] of wanted) {
    const text = section(page, name)
    assert.notEqual(text, '', name)
    for (const flag of flags(command)) {
      const where = everywhere.includes(flag) ? page : text
      assert.ok(where.includes(flag), `${flag} of ${name}`)
    }
  }
})

test('docs/operations.md names every command that does something', () => {
  const acting = commands.filter(([name, { commands: below }]) => name !== '' && below.length === 0)
  for (const [name] of acting) {
    const last = name.split(' ').at(-1) ?? ''
    assert.ok(operations.includes(`\`${name}`) || operations.includes(`\`${last}\``), name)
  }
})
