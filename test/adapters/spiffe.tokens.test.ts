import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { SignJWT } from 'jose'
import { type Spire, startSpire } from '../../sandbox/spire/index.ts'
import type { Adapter } from '../../src/core/adapter.ts'
import { createVerifier } from '../../src/engine/verify.ts'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { AUDIENCE, domain } from './trustdomain.ts'

const ID = 'spiffe://example.org/agents/a'
const day = 86_400_000

/** What the bridge says of tokens: the principal, or the codes. No workload is mapped. */
function judge(clock: Clock, ...adapters: Adapter[]) {
  const verifier = createVerifier({
    adapters: () => adapters,
    keys: (issuer) => issuer.keys ?? assert.fail(`no keys of ${issuer.issuer}`),
    clock,
    store: { principalsById: async () => [], principalsNamed: async () => [], sharersOf: async () => [] },
  })
  return async (token: string) => {
    const told = await verifier.subject(token)
    return told.valid ? told.subject.principals.join() : told.codes.join()
  }
}

const signed = async (header: Record<string, unknown>, claims: Record<string, unknown>) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const exp = Math.floor(Date.now() / 1000) + 300
  const token = await new SignJWT({ sub: ID, aud: AUDIENCE, exp, ...claims })
    .setProtectedHeader({ alg: 'ES256', kid: 'k', ...header })
    .sign(privateKey)
  return { token, jwk: { ...publicKey.export({ format: 'jwk' }), kid: 'k', use: 'jwt-svid' } }
}

function folder() {
  const path = mkdtempSync(join(tmpdir(), 'bundles-'))
  let count = 0
  return {
    file(content: unknown, name = `b${count++}.json`) {
      const at = join(path, name)
      writeFileSync(at, typeof content === 'string' ? content : JSON.stringify(content))
      return at
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true }),
  }
}

const from = (path: string) => ({ tokens: { audiences: [AUDIENCE], bundle: { type: 'file', path } } })

test('JWT-SVIDs of the server verify, with and without an issuer, by the bundle of the server API', async () => {
  for (const jwtIssuer of [undefined, 'https://oidc.example.org']) {
    await using base = await domain(jwtIssuer === undefined ? {} : { jwtIssuer })
    const { spire, adapter, clock } = base
    const told = judge(clock, adapter)
    assert.equal(await told(spire.jwtSvid(ID, [AUDIENCE])), ID)
    assert.equal(await told(spire.jwtSvid(ID, ['other', AUDIENCE])), ID)
    assert.equal(await told(spire.jwtSvid(ID, ['other'])), 'R_AUDIENCE')
    assert.equal(await told(spire.jwtSvid('spiffe://neighbour.org/agents/a', [AUDIENCE])), 'R_ISSUER')
    for (const sub of ['spiffe://example.org', 'spiffe://example.org/spire/server', 'spiffe://example.org/a/../b', 'a'])
      assert.notEqual(await told(spire.jwtSvid(sub, [AUDIENCE])), sub)
    await clock.sleep(400_000)
    assert.equal(await told(spire.jwtSvid(ID, [AUDIENCE], -200)), 'R_EXPIRED')
  }
})

test('a header has alg, kid and typ, a typ is JWT or JOSE, and only the algorithms of the standard are taken', async () => {
  using files = folder()
  await using base = await domain()
  const check = async (header: Record<string, unknown>, claims: Record<string, unknown> = {}) => {
    const { token, jwk } = await signed(header, { iat: Math.floor(Date.now() / 1000), ...claims })
    return judge(base.clock, base.open(from(files.file({ keys: [jwk] }))))(token)
  }
  for (const good of [{}, { typ: 'JWT' }, { typ: 'JOSE' }]) assert.equal(await check(good), ID)
  for (const bad of [{ typ: 'at+jwt' }, { cty: 'JWT' }, { jku: 'https://evil.example' }])
    assert.equal(await check(bad), 'R_TOKEN')
  assert.equal(await check({}, { iat: undefined }), ID, 'iat is not needed')
  assert.equal(await check({}, { aud: undefined }), 'R_AUDIENCE')
  assert.equal(await check({}, { exp: undefined }), 'R_CLAIMS')
  const { privateKey, publicKey } = generateKeyPairSync('ed25519')
  const token = await new SignJWT({ sub: ID, aud: AUDIENCE, exp: Math.floor(Date.now() / 1000) + 60 })
    .setProtectedHeader({ alg: 'EdDSA', kid: 'k' })
    .sign(privateKey)
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', use: 'jwt-svid' }
  assert.equal(await judge(base.clock, base.open(from(files.file({ keys: [jwk] }))))(token), 'R_ALGORITHM')
})

test('keys of another use, without one, or of X.509-SVIDs verify no token', async () => {
  using files = folder()
  await using base = await domain()
  const { token, jwk } = await signed({}, {})
  for (const use of ['x509-svid', 'sig', 'JWT-SVID', undefined]) {
    const told = judge(base.clock, base.open(from(files.file({ keys: [{ ...jwk, use }] }))))
    assert.equal(await told(token), 'R_KEY', use)
  }
  const mapped = files.file({ trust_domains: { 'example.org': { keys: [jwk] }, 'other.org': { keys: [] } } })
  assert.equal(await judge(base.clock, base.open(from(mapped)))(token), ID)
  for (const again of ['keys', '\\u006beys']) {
    const twice = files.file(`{"keys":[],"${again}":[${JSON.stringify(jwk)}]}`)
    await assert.rejects(judge(base.clock, base.open(from(twice)))(token), { code: 'E_JWKS_DOWN' }, again)
  }
})

test('trust domains are kept apart: keys of one never verify tokens of another', async () => {
  await using partner = await startSpire({ trustDomain: 'partner.org' })
  await using stranger = await startSpire({ trustDomain: 'stranger.org' })
  const federated = { 'partner.org': { bundle: { type: 'server' } } }
  await using base = await domain({
    settings: {
      manage: { kinds: ['workload', 'federatedWorkload'] },
      tokens: { audiences: [AUDIENCE], federated },
    },
  })
  const { spire, adapter, clock } = base
  spire.federateWith(partner)
  spire.federateWith(stranger)
  const told = judge(clock, adapter)
  const theirs = 'spiffe://partner.org/agents/b'
  assert.equal(await told(partner.jwtSvid(theirs, [AUDIENCE])), theirs)
  assert.equal(await told(partner.jwtSvid(ID, [AUDIENCE])), 'R_KEY')
  assert.equal(await told(spire.jwtSvid(theirs, [AUDIENCE])), 'R_KEY')
  assert.equal(await told(stranger.jwtSvid('spiffe://stranger.org/a', [AUDIENCE])), 'R_ISSUER')

  const ref = { id: theirs, kind: 'federatedWorkload' }
  assert.equal(adapter.vet(ref), undefined)
  const signal = AbortSignal.timeout(30_000)
  assert.equal((await adapter.lookup([ref], signal)).get(theirs)?.state, 'enabled')
  const [written] = (await adapter.accounts?.disable([ref], signal)) ?? []
  assert.deepEqual([written?.outcome, written?.error?.code], ['unsent', 'E_NOT_SWITCHABLE'])
  for (const kid of partner.kids) partner.revokeJwtKey(kid)
  await clock.sleep(day / 2)
  assert.equal((await adapter.lookup([ref], signal)).get(theirs)?.state, 'disabled')
})

test('a bundle is read again at its hint: new keys are found, and an empty one refuses everybody at once', async () => {
  await using base = await domain()
  const { spire, adapter, clock } = base
  const told = judge(clock, adapter)
  const old = spire.jwtSvid(ID, [AUDIENCE], 3600)
  assert.equal(await told(old), ID)
  spire.rotateJwtKey()
  assert.equal(await told(spire.jwtSvid(ID, [AUDIENCE])), 'R_KEY', 'one read in ten seconds')
  await clock.sleep(700_000)
  assert.equal(await told(spire.jwtSvid(ID, [AUDIENCE], 3600)), ID)
  assert.equal(await told(old), ID)
  const [first = ''] = spire.kids
  spire.taintJwtKey(first)
  await clock.sleep(700_000)
  assert.equal(await told(old), 'R_KEY', 'signed by a tainted key')
  const last = spire.jwtSvid(ID, [AUDIENCE], 7200)
  assert.equal(await told(last), ID)
  for (const kid of spire.kids) spire.revokeJwtKey(kid)
  await clock.sleep(700_000)
  assert.equal(await told(last), 'R_KEY')
})

test('while the server is away the last bundle serves, for a day', async () => {
  await using base = await domain()
  const { spire, adapter, clock } = base
  const told = judge({ ...systemClock, mono: clock.mono }, adapter)
  const token = spire.jwtSvid(ID, [AUDIENCE], 3600)
  assert.equal(await told(token), ID)
  await spire.goAway()
  await clock.sleep(day - 60_000)
  assert.equal(await told(token), ID)
  await clock.sleep(120_000)
  await assert.rejects(told(token), { code: 'E_JWKS_DOWN' })
})

test('a bundle in a file is in force as soon as the file changes; one that is not whole changes nothing', async () => {
  using files = folder()
  await using base = await domain()
  const [one, two] = [await signed({}, {}), await signed({}, {})]
  const write = (content: unknown) => files.file(content, 'bundle.json')
  const adapter = base.open(from(write({ keys: [one.jwk] })))
  const told = judge({ ...systemClock, mono: base.clock.mono }, adapter)
  const version = () => adapter.issuers[0]?.keys?.version()
  assert.equal(await told(one.token), ID)
  assert.ok(version())
  write({ keys: [two.jwk] })
  assert.equal(version(), undefined, 'what was answered before is not answered again')
  assert.equal(await told(two.token), ID)
  assert.equal(await told(one.token), 'R_SIGNATURE', 'of the same name')
  write('{"keys":[')
  assert.equal(await told(two.token), ID)
  write({ keys: [] })
  assert.equal(await told(two.token), 'R_KEY', 'an empty one refuses everybody')
})

test('an older sequence number changes nothing', async () => {
  using files = folder()
  await using base = await domain()
  const [one, two] = [await signed({}, {}), await signed({}, {})]
  const write = (spiffe_sequence: number, ...keys: object[]) =>
    files.file({ spiffe_sequence, spiffe_refresh_hint: 60, keys }, 'bundle.json')
  const adapter = base.open(from(write(7, one.jwk)))
  const told = judge({ ...systemClock, mono: base.clock.mono }, adapter)
  assert.equal(await told(one.token), ID)
  write(6, two.jwk)
  await base.clock.sleep(150_000)
  assert.equal(await told(one.token), ID)
  write(8, two.jwk)
  await base.clock.sleep(150_000)
  assert.notEqual(await told(one.token), ID)
  assert.equal(await told(two.token), ID)
})

test('bundle endpoints: one of the web by its address, one of SPIFFE by its ID and no other', async () => {
  using files = folder()
  await using base = await domain()
  const { spire, clock } = base
  const token = spire.jwtSvid(ID, [AUDIENCE])

  await using server = createServer((_request, response) => response.end(spire.bundle()))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/`
  const web = base.open({ tokens: { audiences: [AUDIENCE], bundle: { type: 'https_web', url } } })
  assert.equal(await judge(clock, web)(token), ID)

  await using endpoint = await spire.bundleEndpoint({ profile: 'https_spiffe' })
  const by = (endpointId: string, bootstrap: string) => {
    const bundle = { type: 'https_spiffe', url: endpoint.url, endpointId, bootstrap }
    return judge(clock, base.open({ tokens: { audiences: [AUDIENCE], bundle } }))(token)
  }
  const own = files.file(spire.bundle())
  assert.equal(await by(spire.serverId, own), ID)
  await assert.rejects(by('spiffe://example.org/another', own), { code: 'E_JWKS_DOWN' })
  await using stranger = await startSpire()
  await assert.rejects(by(spire.serverId, files.file(stranger.bundle())), { code: 'E_JWKS_DOWN' })
  endpoint.answer({ status: 503, body: '' })
  await assert.rejects(by(spire.serverId, own), { code: 'E_JWKS_DOWN' })
})

/** The bridge as a workload, with an entry of its own, and what it is told. */
async function networked(spire: Spire, id = 'spiffe://example.org/bridge', selectors = ['unix:uid:9']) {
  spire.addEntry({ spiffeId: id, selectors })
  return { server: { address: spire.address, workloadApi: await spire.workload(selectors) } }
}

test('over the network the bridge signs in with its own SVID, and is never suspended', async () => {
  const self = 'spiffe://example.org/bridge'
  await using base = await domain({ adminIds: [self] })
  const { spire, workloads } = base
  const [ref] = workloads(1)
  assert.ok(ref)
  const signal = AbortSignal.timeout(30_000)
  const settings = await networked(spire)
  const adapter = base.open(settings)
  assert.equal((await adapter.lookup([ref], signal)).get(ref.id)?.state, 'enabled')
  assert.equal((await adapter.accounts?.disable([ref], signal))?.[0]?.outcome, 'done')
  const [own] = (await adapter.accounts?.disable([{ id: self, kind: 'workload' }], signal)) ?? []
  assert.deepEqual([own?.outcome, own?.error?.code], ['unsent', 'E_NEVER'])

  const before = spire.requests.filter(({ surface }) => surface === 'workload').length
  await adapter.lookup([ref], signal)
  const fetched = () => spire.requests.filter(({ surface }) => surface === 'workload').length
  assert.equal(fetched(), before, 'an SVID is kept for half its life')
  await base.clock.sleep(2_000_000)
  await adapter.lookup([ref], signal)
  assert.equal(fetched(), before + 1)

  const impostor = base.open({ server: { ...settings.server, id: 'spiffe://example.org/another' } })
  await assert.rejects(impostor.lookup([ref], signal), { code: 'E_DIRECTORY_DOWN' })
  const nobody = base.open({ server: { address: spire.address, workloadApi: await spire.workload(['unix:uid:0']) } })
  await assert.rejects(nobody.lookup([ref], signal), { code: 'E_DIRECTORY_FORBIDDEN' })
  const other = base.open(await networked(spire, 'spiffe://example.org/other', ['unix:uid:8']))
  await assert.rejects(other.lookup([ref], signal), { code: 'E_DIRECTORY_FORBIDDEN' })
  const findings = await other.check(signal)
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['E_DIRECTORY_FORBIDDEN', 'E_DIRECTORY_FORBIDDEN', 'E_DIRECTORY_FORBIDDEN', 'ok', 'clock'],
  )
})

test('check says that a bundle has no key', async () => {
  await using base = await domain()
  for (const kid of base.spire.kids) base.spire.revokeJwtKey(kid)
  const codes = (await base.adapter.check(AbortSignal.timeout(30_000))).map(({ code }) => code)
  assert.deepEqual(codes, ['ok', 'ok', 'ok', 'ok', 'empty-bundle', 'clock'])
})
