import assert from 'node:assert/strict'
import { test } from 'node:test'
import { askRelease, attachHere, becomes, confirmedOff, killRoot, startChain, stateOf, stopped } from './chain.ts'

test('a kill at hop one stops hop three in both directories and in its process, and its release undoes exactly that', async () => {
  await using chain = await startChain()
  const { world, org, root, middle, leaf, off } = chain
  await using here = await attachHere(chain)
  const before = await stateOf(chain, [here])
  const entraBefore = world.tenant.requests.length
  const oktaBefore = org.requests.length

  const holdId = await killRoot(chain)
  await stopped(chain, [here])
  await confirmedOff(chain)
  assert.deepEqual(
    [root, middle, leaf, off].map(({ did }) => here.stops(did)),
    [1, 1, 1, 1],
  )
  const release = await askRelease(chain, holdId)
  await release()
  await becomes(chain, [here], before)

  const entra = world.tenant.requests.slice(entraBefore)
  const okta = org.requests.slice(oktaBefore)
  for (const hop of [root, middle, leaf]) {
    const patches = entra.filter(({ method, path }) => method === 'PATCH' && path.includes(hop.entra))
    assert.deepEqual(
      patches.map(({ body }) => body),
      [{ accountEnabled: false }, { accountEnabled: true }],
    )
    const verbs = okta.filter(({ method, path }) => method === 'POST' && path.includes(`${hop.okta}/lifecycle/`))
    assert.deepEqual(
      verbs.map(({ path }) => path.split('/').at(-1)),
      ['suspend', 'unsuspend'],
    )
  }
  const written = [
    ...entra.filter(({ method, path }) => method === 'PATCH' && path.includes(off.entra)),
    ...okta.filter(({ path }) => path.includes(`${off.okta}/lifecycle/`)),
  ]
  assert.deepEqual(written, [], 'an agent that was held before, and is after, is written to by nobody')
})
