import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../../src/lib/clock.ts'
import { clock as movable } from '../sandbox/client.ts'
import { bench } from './awscloud.ts'
import { signal } from './tenant.ts'

test('a role is lifted though IAM shows the revocation of its old sessions later than any try waits for it', async () => {
  const time = movable()
  // Waits are over at once, so that no try sees what it wrote itself.
  const clock: Clock = { now: time.now, mono: time.now, sleep: async (_, aborted) => aborted?.throwIfAborted() }
  const signatureSkewMs = Number.POSITIVE_INFINITY
  await using base = await bench({ clock, now: time.now, staleMs: 80_000, signatureSkewMs })
  const { adapter, cloud } = base
  const ref = base.role()
  const lift = async () => {
    const [result] = (await adapter.accounts?.enable([ref], signal())) ?? []
    return [result?.outcome, result?.error?.code]
  }
  assert.equal((await adapter.accounts?.disable([ref], signal()))?.[0]?.outcome, 'done')
  time.advance(100_000)
  const suspendedAt = time.now()
  assert.deepEqual(await lift(), ['unsent', 'E_DIRECTORY_DOWN'])
  time.advance(45_000)
  assert.deepEqual(await lift(), ['unsent', 'E_DIRECTORY_DOWN'])
  time.advance(45_000)
  assert.equal(cloud.get(ref.id)?.enabled, false, 'never lifted before old sessions are revoked')
  assert.deepEqual(await lift(), ['done', undefined])
  const [name, text = ''] = [...(cloud.role(ref.id)?.inline ?? [])][0] ?? []
  const [, revokedAt = ''] = /"aws:TokenIssueTime":"([^"]+)"/.exec(text) ?? []
  assert.deepEqual([name, cloud.get(ref.id)?.enabled], ['AWSRevokeOlderSessions', true])
  assert.ok(Date.parse(revokedAt) >= suspendedAt)
})
