import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Io } from '../../src/cli/io.ts'
import { table } from '../../src/cli/table.ts'

test('a table of more rows than a call takes arguments is told whole: a directory may have that many accounts', () => {
  const lines: string[] = []
  const io: Io = {
    env: {},
    out: (text) => lines.push(text),
    err: () => undefined,
    colour: false,
    stop: new AbortController().signal,
    onHangup: () => undefined,
    die: () => undefined,
  }
  table(
    io,
    ['ID', 'NAME'],
    Array.from({ length: 200_000 }, (_, n) => [`${n}`, n === 150_000 ? 'the widest of all' : 'a']),
  )
  assert.deepEqual([lines.length, lines[1]], [200_001, '0       a'])
})
