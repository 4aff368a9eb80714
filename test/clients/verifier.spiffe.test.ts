import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { startSpire } from '../../sandbox/spire/index.ts'
import { manualClock } from '../../src/lib/clock.ts'
import { AUDIENCE, domain } from '../adapters/trustdomain.ts'
import { until } from '../e2e/until.ts'
import { registrar } from '../engine/harness.ts'
import { type VerifierWorld, verifierWorld } from './verifierworld.ts'

const DID = 'did:mesh:workload'
const ID = 'spiffe://example.org/agents/a'
const audience = [AUDIENCE]

const codes = (answer: unknown): string => {
  const { codes, code, did } = Object(answer)
  return code ?? (codes?.join() || did)
}

/** What both say, once they say the same. */
const agreed = (of: VerifierWorld, token: string, wanted: string) =>
  until(`both say ${wanted}`, async () => {
    const [local, remote] = [await of.local({ token }), await of.remote({ token })]
    return codes(local) === wanted && codes(remote) === wanted
  })

test('JWT-SVIDs are judged here by the bundles that the bridge tells, as in the bridge, and change as they do', async () => {
  const path = mkdtempSync(join(tmpdir(), 'bundles-'))
  await using stack = new AsyncDisposableStack()
  stack.defer(() => rmSync(path, { recursive: true }))
  const file = join(path, 'bundle.json')
  const base = stack.use(await domain())
  const { spire } = base
  const partner = stack.use(await startSpire({ trustDomain: 'partner.org' }))
  spire.federateWith(partner)
  const adapter = base.open({
    manage: { kinds: ['workload', 'federatedWorkload'] },
    tokens: {
      audiences: [AUDIENCE],
      bundle: { type: 'file', path: file },
      federated: { 'partner.org': { bundle: { type: 'server' } } },
    },
  })
  const of = stack.use(
    await verifierWorld({
      clock: manualClock(Date.now()),
      adapters: { north: { adapter: () => ({ ...adapter, name: 'north' }) } },
    }),
  )
  const theirs = 'spiffe://partner.org/agents/b'
  spire.addEntry({ spiffeId: ID, selectors: ['unix:uid:1'] })
  const principals = [
    { adapter: 'north', id: ID, kind: 'workload' },
    { adapter: 'north', id: theirs, kind: 'federatedWorkload' },
  ]
  await of.world.bridge.register({ did: DID, name: 'n', principals }, registrar)
  await of.rest()

  const token = spire.jwtSvid(ID, audience)
  await agreed(of, token, 'E_JWKS_DOWN')
  writeFileSync(file, spire.bundle())
  await agreed(of, token, DID)
  await agreed(of, partner.jwtSvid(theirs, audience), DID)
  await agreed(of, partner.jwtSvid(ID, audience), 'R_KEY')
  await agreed(of, spire.jwtSvid('spiffe://example.org/agents/unknown', audience), 'R_UNMAPPED')
  await agreed(of, spire.jwtSvid('spiffe://stranger.org/agents/a', audience), 'R_ISSUER')
  await agreed(of, spire.jwtSvid(ID, ['api://elsewhere']), 'R_AUDIENCE')
  await agreed(of, `${token.slice(0, -4)}AAAA`, 'R_SIGNATURE')

  spire.rotateJwtKey()
  const next = spire.jwtSvid(ID, audience)
  writeFileSync(file, spire.bundle())
  await agreed(of, next, DID)
  await agreed(of, token, DID)
  spire.revokeJwtKey(spire.kids[0] ?? '')
  writeFileSync(file, spire.bundle())
  await agreed(of, token, 'R_KEY')
  await agreed(of, next, DID)
  await of.world.kill(DID)
  await agreed(of, next, 'R_SUSPENDED')
  writeFileSync(file, '{"keys":[]}')
  await agreed(of, next, 'R_KEY')
  assert.deepEqual(of.errors, [])
})
