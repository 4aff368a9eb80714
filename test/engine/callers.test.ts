import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createCallerStandings } from '../../src/engine/callers.ts'
import { createKnown } from '../../src/engine/known.ts'
import { soc, World } from './harness.ts'

test('a caller is the agent that any adapter of its directory maps its account to, and no other directory’s', async () => {
  await using world = await World.open()
  const did = await world.agent('a', {}, ['north'])
  const contoso = { kind: 'entra', realm: 'contoso' }
  const mounts = new Map(
    Object.entries({
      north: contoso,
      watcher: contoso,
      fabrikam: { kind: 'entra', realm: 'fabrikam' },
      other: { kind: 'okta', realm: 'contoso' },
    }).map(([name, adapter]) => [name, { adapter }]),
  )
  const known = createKnown(world.store)
  const standings = createCallerStandings({ store: world.store, known, mounts: () => mounts })
  const asked = { ids: ['a'], adapter: 'watcher' }
  const nobody = { dids: [], held: false }
  assert.deepEqual(await standings.of(asked), { dids: [did], held: false })
  assert.deepEqual(await standings.of({ ids: ['a'] }), { dids: [did], held: false })
  for (const adapter of ['fabrikam', 'other', 'gone'])
    assert.deepEqual(await standings.of({ ids: ['a'], adapter }), nobody, adapter)
  assert.deepEqual(await standings.of({ ids: ['b'], adapter: 'north' }), nobody)
  await world.kill(did, soc)
  assert.deepEqual(await standings.of(asked), { dids: [did], held: true })
})
