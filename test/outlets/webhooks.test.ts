import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { secretOf } from '../engine/receiver.ts'
import { docsReceiver } from './shown.ts'

const [one, two] = [secretOf('one'), secretOf('two')]

test('the receiver of docs/webhooks.md takes what is signed by any secret of its own, and nothing else', async () => {
  const { createReceiver } = await docsReceiver()
  const { verified } = createReceiver({ secrets: [one], stop: () => undefined, resume: () => undefined })
  const body = '{"seq":1}'
  const signed = (secret: string, at: Date) => new Webhook(secret).sign('g-1', at, body)
  const secondsOf = (at: Date) => String(Math.floor(at.getTime() / 1000))
  const now = new Date()
  const good = signed(one, now)
  assert.ok(verified('g-1', secondsOf(now), good, body))
  assert.ok(verified('g-1', secondsOf(now), `${signed(two, now)} ${good}`, body))
  assert.ok(!verified('g-1', secondsOf(now), signed(two, now), body))
  assert.ok(!verified('g-2', secondsOf(now), good, body))
  assert.ok(!verified('g-1', secondsOf(now), good, '{"seq":2}'))
  assert.ok(!verified('g-1', secondsOf(now), good.replace('v1,', 'v2,'), body))
  const old = new Date(now.getTime() - 600_000)
  assert.ok(!verified('g-1', secondsOf(old), signed(one, old), body))
  assert.ok(!verified('g-1', 'soon', good, body))
})

test('it compares sequences, takes snapshots in pages, and begins anew with another generation', async () => {
  const { createReceiver } = await docsReceiver()
  const stopped = new Set<string>()
  const { take } = createReceiver({
    secrets: [one],
    stop: (did) => void stopped.add(did),
    resume: (did) => void stopped.delete(did),
  })
  const now = () => [...stopped].sort().join(' ')
  await take('g-5', { seq: 5, type: 'suspended', did: 'a' })
  await take('g-4', { seq: 4, type: 'resumed', did: 'a' })
  await take('g-6', { seq: 6, type: 'suspended', did: 'b' })
  assert.equal(now(), 'a b')
  await take('g-7-1-0', { seq: 7, type: 'snapshot', page: 0, last: false, held: [{ did: 'c' }] })
  await take('g-8', { seq: 8, type: 'suspended', did: 'd' })
  assert.equal(now(), 'a b c d')
  await take('g-7-1-1', { seq: 7, type: 'snapshot', page: 1, last: true, held: [{ did: 'b' }] })
  assert.equal(now(), 'b c d')
  await take('h-2-1-0', { seq: 2, type: 'snapshot', page: 0, last: true, held: [{ did: 'c' }] })
  assert.equal(now(), 'c')
})
