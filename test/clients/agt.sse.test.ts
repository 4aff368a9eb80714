import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createSseReader, type SseEvent } from '../../clients/agt/sse.ts'

const read = (chunks: readonly string[]): SseEvent[] => {
  const reader = createSseReader()
  return chunks.flatMap((chunk) => reader.feed(chunk))
}

test('events are the same however the text is cut', () => {
  const text =
    'retry: 3000\n\n:\n\nid: g-1\nevent: suspended\ndata: {"a":1}\n\n:beat\nid: g-2\r\ndata:x\r\ndata: y\r\n\r\ndata\n\nid: 3\n\n'
  const whole: SseEvent[] = [
    { id: 'g-1', event: 'suspended', data: '{"a":1}' },
    { id: 'g-2', event: 'message', data: 'x\ny' },
    { id: '', event: 'message', data: '' },
  ]
  fc.assert(
    fc.property(fc.array(fc.nat(text.length)), (cuts) => {
      const at = [0, ...cuts.toSorted((a, b) => a - b), text.length]
      const chunks = at.slice(1).map((end, n) => text.slice(at[n], end))
      assert.deepEqual(read(chunks), whole)
    }),
  )
})

test('an event without an end is given up, however slowly it grows', () => {
  const reader = createSseReader()
  const chunk = 'x'.repeat(8 * 1024 * 1024)
  const feed = (text: string) => () => {
    for (let n = 0; n < 9; n += 1) reader.feed(text)
  }
  assert.throws(feed(`data: ${chunk}\n`), { code: 'E_FRAME' })
  const unbroken = createSseReader()
  assert.throws(
    () => {
      for (let n = 0; n < 9; n += 1) unbroken.feed(chunk)
    },
    { code: 'E_FRAME' },
  )
})
