import assert from 'node:assert/strict'
import { test } from 'node:test'
import { revocation, suspension } from '../../sandbox/aws/policies.ts'
import { clock as movable } from '../sandbox/client.ts'
import { bench } from './awscloud.ts'
import { signal } from './tenant.ts'

/** Second by second, as the event history tells time. */
const start = async () => {
  const time = movable(Math.floor(Date.now() / 1000) * 1000 - 120_000)
  const base = await bench({ now: time.now, settings: { attribution: { lag: '1s' } } })
  const { adapter, cloud } = base
  const ref = base.role()
  const written = async () => {
    const entries = await adapter.accounts?.log?.read({ from: time.now() - 100_000, to: time.now() + 1000 }, signal())
    return entries?.entries
      .filter(({ id }) => id === ref.id)
      .toSorted((a, b) => a.at - b.at)
      .map(({ action, ours }) => `${action} by ${ours ? 'us' : 'others'}`)
  }
  /** Without a proving read. */
  const disable = async () => {
    const lift = cloud.fail(/^POST \/iam\/(Get|List)/, { status: 503, times: Number.POSITIVE_INFINITY })
    const [result] = (await adapter.accounts?.disable([ref], signal())) ?? []
    lift()
    assert.deepEqual([result?.outcome, result?.before], ['done', undefined])
  }
  return { ...base, time, ref, written, disable }
}

test('a role that somebody suspended is theirs, though we wrote the same policy again unread', async () => {
  const it = await start()
  await using _ = it
  it.cloud.setSwitch(it.ref.id, false, { by: 'carol' })
  it.time.advance(2000)
  await it.disable()
  assert.deepEqual(await it.written(), ['disable by others'])
  it.time.advance(2000)
  it.cloud.setSwitch(it.ref.id, true, { by: 'carol' })
  it.time.advance(2000)
  await it.disable()
  assert.deepEqual(await it.written(), ['disable by others', 'enable by others', 'disable by us'])
})

test('a role that was on when we suspended it unread is ours', async () => {
  const it = await start()
  await using _ = it
  await it.disable()
  it.time.advance(2000)
  await it.disable()
  assert.deepEqual(await it.written(), ['disable by us', 'disable by us'])
})

test('a role that somebody switched on by changing our policy is ours when we suspend it again', async () => {
  const it = await start()
  await using _ = it
  await it.disable()
  it.time.advance(2000)
  it.cloud.putPolicy(it.ref.id, suspension.name, revocation(0).document, { by: 'carol' })
  it.time.advance(2000)
  await it.disable()
  assert.deepEqual(await it.written(), ['disable by us', 'enable by others', 'disable by us'])
})
