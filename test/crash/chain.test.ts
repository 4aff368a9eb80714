import assert from 'node:assert/strict'
import { test } from 'node:test'
import { agentOf } from '../e2e/agents.ts'
import {
  askRelease,
  attachHere,
  becomes,
  type Chain,
  confirmedOff,
  killRoot,
  startChain,
  stateOf,
  stopped,
} from '../e2e/chain.ts'
import { at, listAt, textAt } from '../e2e/json.ts'
import { assertAudit, crashed, maybe, program } from './parts.ts'

const holdOf = async ({ daemon, root }: Chain): Promise<string> => {
  const holds = listAt(await agentOf(daemon, root.did), 'holds')
  assert.deepEqual(
    holds.map((hold) => at(hold, 'origin')),
    ['runtime:detector'],
  )
  return textAt(holds[0], 'id')
}

const dieAt = async (chain: Chain, point: string): Promise<void> => {
  await chain.daemon[Symbol.asyncDispose]()
  await chain.restart(program, point)
}

for (const [killed, released] of [
  ['kill.committed', 'enable.recorded'],
  ['disable.answered', 'enable.answered'],
] as const) {
  test(`killed at ${killed} and at ${released}: hop three is stopped everywhere, then everything is as it was`, async () => {
    await using chain = await startChain()
    await using here = await attachHere(chain)
    const before = await stateOf(chain, [here])

    await dieAt(chain, killed)
    await maybe(killRoot(chain))
    await crashed(chain.daemon)
    await chain.restart()
    await stopped(chain, [here])
    await confirmedOff(chain)
    assert.deepEqual(
      chain.all.map(({ did }) => here.stops(did)),
      [1, 1, 1, 1],
    )

    await dieAt(chain, released)
    const release = await askRelease(chain, await holdOf(chain))
    await maybe(release())
    await crashed(chain.daemon)
    await chain.restart()
    await becomes(chain, [here], before)
    await chain.daemon[Symbol.asyncDispose]()
    await assertAudit(chain.world)
  })
}
