import assert from 'node:assert/strict'
import { nextTick } from 'node:process'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createTogether, type Sending } from '../../src/http/together.ts'

const sending = (send: () => unknown): Sending => ({
  send: () => {
    send()
  },
  failed: (error) => assert.fail(String(error)),
})

test('what is ready in one turn goes out at its end, in order and once', async () => {
  const together = createTogether()
  const sent: number[] = []
  for (const n of [1, 2, 3]) together.wait(sending(() => sent.push(n)))
  assert.equal(sent.length, 0)
  await turn()
  assert.deepEqual(sent, [1, 2, 3])
  together.wait(sending(() => sent.push(4)))
  await turn()
  await turn()
  assert.deepEqual(sent, [1, 2, 3, 4])
})

test('no more than sixteen wait for the end of the turn, and what comes while they go out is not lost', async () => {
  const together = createTogether()
  const sent: number[] = []
  for (let n = 0; n < 20; n += 1) {
    together.wait(
      sending(() => {
        sent.push(n)
        if (n === 15) together.wait(sending(() => sent.push(100)))
      }),
    )
    if (n === 15) await new Promise<void>((resolve) => nextTick(resolve))
    assert.equal(sent.length, n < 15 ? 0 : 16)
  }
  await turn()
  assert.deepEqual(sent, [...Array.from({ length: 16 }, (_, n) => n), 100, 16, 17, 18, 19])
})

test('what must not wait goes out at once, and overtakes nothing that was ready before', async () => {
  const together = createTogether()
  const sent: string[] = []
  together.next(sending(() => sent.push('alone')))
  assert.deepEqual(sent, ['alone'])
  together.wait(sending(() => sent.push('a question')))
  together.next(sending(() => sent.push('a hold')))
  assert.deepEqual(sent, ['alone'])
  await new Promise<void>((resolve) => nextTick(resolve))
  assert.deepEqual(sent, ['alone', 'a question', 'a hold'])
})

test('one that cannot be sent is told so, and the others go out; what did not wait fails where it was handed in', async () => {
  const together = createTogether()
  const sent: unknown[] = []
  const broken = {
    send: () => {
      throw new Error('no')
    },
    failed: (error: unknown) => sent.push(error),
  }
  assert.throws(() => together.next(broken), /no/)
  together.wait(sending(() => sent.push(1)))
  together.wait(broken)
  together.next(broken)
  together.wait(sending(() => sent.push(2)))
  await turn()
  assert.deepEqual(sent, [1, new Error('no'), new Error('no'), 2])
})
