import { test } from 'node:test'
import type { BridgeError } from '../../clients/verifier/index.ts'
import { createVerifier } from '../../clients/verifier/index.ts'
import { registerAll, scoutDid } from '../e2e/agents.ts'
import { until } from '../e2e/until.ts'
import { audience, startWorld, tokenOf } from '../e2e/world.ts'

test('quick', async () => {
  await using world = await startWorld()
  await using daemon = await world.daemon()
  await registerAll(daemon, world)
  const errors: BridgeError[] = []
  await using verifier = createVerifier({
    url: daemon.origin,
    token: tokenOf('gateway'),
    onError: (e) => errors.push(e),
  })
  const t0 = performance.now()
  await verifier.ready()
  console.log('ready', performance.now() - t0, errors)
  console.log(await verifier.decide({ did: scoutDid }))
  const token = world.tenant.issueToken({ kind: 'agent', id: world.contoso.agents.scout, audience })
  console.log(await verifier.decide({ token }), (await daemon.as('gateway').post('/v1/decisions', { token })).body)
  await daemon.as('runtime').post('/v1/kill', { agentId: scoutDid, reason: 'loop' })
  const t1 = performance.now()
  await until('denied', async () => !(await verifier.decide({ token })).allow)
  console.log(performance.now() - t1, await verifier.decide({ token }), errors)
})
