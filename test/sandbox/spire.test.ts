import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { request } from 'node:https'
import { test } from 'node:test'
import { credentials } from '@grpc/grpc-js'
import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { type SpireOptions, type Svid, startSpire } from '../../sandbox/spire/index.ts'
import { at, list, text } from './client.ts'
import { fetchTokens, SpireClient, workloadHeader } from './spireclient.ts'

const agent = 'spiffe://example.org/agentmesh/a1'
const sentinel = { type: 'agentmesh', value: 'suspended' }

const started = async (options: SpireOptions = {}) => {
  const stack = new AsyncDisposableStack()
  const spire = stack.use(await startSpire(options))
  const client = stack.use(new SpireClient(spire.socket))
  return { spire, client, stack, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

const overTls = (spire: Awaited<ReturnType<typeof startSpire>>, svid?: Svid) => {
  const [key, chain] = svid === undefined ? [null, null] : [Buffer.from(svid.privateKey), Buffer.from(svid.certificate)]
  const checkServerIdentity = (_host: string, { subjectaltname }: { subjectaltname?: string }) =>
    subjectaltname === `URI:${spire.serverId}` ? undefined : new Error('another server')
  return new SpireClient(
    spire.address,
    credentials.createSsl(Buffer.from(spire.caPem), key, chain, { checkServerIdentity }),
  )
}

const withSelectors = (id: string, selectors: object[]) => ({
  entries: [{ id, selectors }],
  input_mask: { selectors: true },
})

test('a sentinel selector stops what the agents issue once they know, and its removal restores the entry', async () => {
  let now = Date.now()
  await using world = await started({ now: () => now, syncMs: 10_000 })
  const { client, spire, stack } = world
  const entry = spire.addEntry({ spiffeId: agent, selectors: ['unix:uid:1', 'unix:gid:1'], more: { jwt_svid_ttl: 60 } })
  now += 10_000
  spire.sync()
  const workload = stack.use(new SpireClient(await spire.workload(['unix:uid:1', 'unix:gid:1', 'unix:user:a'])))
  const x509 = stack.use(workload.open('FetchX509SVID'))
  const first = list(at(await x509.next(), 'svids'))
  assert.deepEqual(
    first.map((svid) => at(svid, 'spiffe_id')),
    [agent],
  )
  const before = await fetchTokens(workload, 'bridge')
  assert.ok(Array.isArray(before))
  const keys = createLocalJWKSet({
    keys: JSON.parse(spire.bundle()).keys.flatMap(({ use, ...key }: { use: string }) =>
      use === 'jwt-svid' ? [key] : [],
    ),
  })
  const { payload } = await jwtVerify(before[0] ?? '', keys, { currentDate: new Date(now) })
  assert.deepEqual([payload.sub, payload.aud, (payload.exp ?? 0) - (payload.iat ?? 0)], [agent, ['bridge'], 60])
  assert.deepEqual(Object.keys(decodeProtectedHeader(before[0] ?? '')).sort(), ['alg', 'kid', 'typ'])

  await client.get('BatchUpdateEntry', withSelectors(entry.id, [...entry.selectors, sentinel]))
  assert.deepEqual(await fetchTokens(workload, 'bridge'), before, 'the agent does not know yet')
  now += 10_000
  spire.sync()
  assert.equal(await fetchTokens(workload, 'bridge'), 7)
  assert.equal(await x509.ended, 7, 'who listens is told')

  await client.get('BatchUpdateEntry', withSelectors(entry.id, entry.selectors))
  now += 10_000
  spire.sync()
  const after = await fetchTokens(workload, 'bridge')
  assert.ok(Array.isArray(after))
  assert.notDeepEqual(after, before, 'what was kept of it is forgotten')
  const byKey = (one: { value: string }, other: { value: string }) => one.value.localeCompare(other.value)
  const restored = spire.entry(entry.id)
  assert.deepEqual(
    { ...restored, selectors: restored?.selectors.toSorted(byKey) },
    { ...entry, revision_number: 2, selectors: entry.selectors.toSorted(byKey) },
  )
})

test('lists come in pages when a size is asked for, the last of them empty, with what the mask names', async () => {
  await using world = await started()
  const { client, spire } = world
  for (const name of ['a', 'b', 'c']) {
    spire.addEntry({ id: name, spiffeId: `spiffe://example.org/${name}`, selectors: [`unix:uid:${name}`] })
  }
  const page = (page_size: number, page_token: string) =>
    client.get('ListEntries', { page_size, page_token, output_mask: { revision_number: true } })
  const ids = (message: unknown) => list(at(message, 'entries')).map((entry) => text(at(entry, 'id')))
  const first = await page(3, '')
  assert.deepEqual(ids(first), ['a', 'b', 'c'])
  assert.equal(at(first, 'entries', 0, 'spiffe_id'), null)
  const token = text(at(first, 'next_page_token'))
  const last = await page(3, token)
  assert.deepEqual([ids(last), at(last, 'next_page_token')], [[], ''])
  assert.deepEqual(ids(await page(0, token)), ['a', 'b', 'c'], 'no size, no pages')
  const asked = { type: 'unix', value: 'uid:b' }
  const filter = { by_selectors: { selectors: [asked], match: 2 } }
  assert.deepEqual(ids(await client.get('ListEntries', { filter })), ['b'])
  const none = await client.ask('ListEntries', { filter: { by_selectors: { selectors: [], match: 2 } } })
  assert.deepEqual(none, { code: 3, details: 'malformed selectors filter: empty selector set' })
})

test('each item of a batch has its own status', async () => {
  await using world = await started()
  const { client, spire } = world
  const entry = spire.addEntry({ spiffeId: agent, selectors: ['unix:uid:1'] })
  const codes = async (name: string, message: object) =>
    list(at(await client.get(name, message), 'results')).map((result) => at(result, 'status', 'code'))
  const updates = [
    { id: entry.id, selectors: [] },
    { id: 'nobody', selectors: [sentinel] },
    { id: entry.id, selectors: [{ type: 'a:b', value: 'c' }] },
    { id: entry.id, selectors: [sentinel] },
  ]
  assert.deepEqual(await codes('BatchUpdateEntry', { entries: updates, input_mask: { selectors: true } }), [3, 5, 3, 0])
  assert.equal(spire.entry(entry.id)?.revision_number, 1)
  const parent = { trust_domain: 'example.org', path: '/p' }
  const made = (path: string, more = {}) => ({
    spiffe_id: { trust_domain: 'example.org', path },
    parent_id: parent,
    selectors: [{ type: 'unix', value: 'uid:1' }],
    ...more,
  })
  const creations = [
    made('/a', { id: 'chosen' }),
    made('/a'),
    made('/b', { id: 'chosen' }),
    made('/spire/agent/x'),
    made('/did:mesh:a'),
    made('/c', { federates_with: ['elsewhere.org'] }),
  ]
  assert.deepEqual(await codes('BatchCreateEntry', { entries: creations }), [0, 6, 6, 3, 3, 13])
  assert.deepEqual(await codes('BatchDeleteEntry', { ids: ['chosen', 'chosen', ''] }), [0, 5, 3])
})

test('over TLS only admins are answered, but the bundle is for everybody', async () => {
  const admin = 'spiffe://example.org/identity-bridge'
  await using world = await started({ adminIds: [admin] })
  const { spire, stack } = world
  const other = 'spiffe://example.org/other'
  const [nobody, bridge, workload] = [
    stack.use(overTls(spire)),
    stack.use(overTls(spire, spire.x509Svid(admin))),
    stack.use(overTls(spire, spire.x509Svid(other))),
  ]
  const denied = { code: 7, details: 'authorization denied for method /spire.api.server.entry.v1.Entry/CountEntries' }
  assert.deepEqual(await nobody.ask('CountEntries', {}), denied)
  assert.deepEqual(await workload.ask('CountEntries', {}), denied)
  assert.deepEqual(await bridge.ask('CountEntries', {}), { message: { count: 0 } })
  assert.equal(at(await nobody.get('GetBundle', {}), 'trust_domain'), 'example.org')
  spire.addEntry({ spiffeId: other, selectors: ['unix:uid:1', 'agentmesh:suspended'], more: { admin: true } })
  assert.deepEqual(await workload.ask('CountEntries', {}), { message: { count: 1 } }, 'selectors play no part in it')
})

test('the Workload API wants its header and an audience, and the agent to be in good standing', async () => {
  await using world = await started()
  const { client, spire, stack } = world
  spire.addEntry({ spiffeId: agent, selectors: ['unix:uid:1'] })
  const workload = stack.use(new SpireClient(await spire.workload(['unix:uid:1'])))
  const fetch = { audience: ['bridge'], spiffe_id: '' }
  assert.deepEqual(await workload.ask('FetchJWTSVID', fetch), {
    code: 3,
    details: 'security header missing from request',
  })
  assert.deepEqual(await workload.ask('FetchJWTSVID', { audience: [] }, workloadHeader()), {
    code: 3,
    details: 'audience must be specified',
  })
  const bundles = stack.use(workload.open('FetchJWTBundles'))
  const keys = async () =>
    JSON.parse(
      Buffer.from(
        text(Object(at(await bundles.next(), 'bundles', 'spiffe://example.org')).toString('base64')),
        'base64',
      ).toString(),
    ).keys
  assert.deepEqual(
    (await keys()).map(({ kid, use }: { kid: string; use?: string }) => [kid, use]),
    [[spire.kids[0], undefined]],
  )
  const kid = spire.rotateJwtKey()
  assert.deepEqual(
    (await keys()).map((key: { kid: string }) => key.kid),
    [spire.kids[0], kid],
  )
  const stranger = stack.use(new SpireClient(await spire.workload(['unix:uid:2'])))
  assert.equal(await fetchTokens(stranger, 'bridge'), 7)
  const { pathname } = new URL(spire.agentId)
  await client.get('BanAgent', { id: { trust_domain: 'example.org', path: pathname } })
  const agents = await client.get('ListAgents', { filter: { by_banned: { value: true } } })
  assert.equal(at(agents, 'agents', 0, 'banned'), true)
  assert.equal(await fetchTokens(workload, 'bridge'), 14)
})

test('bundles are told by the API and by endpoints, each of its own trust domain', async () => {
  await using world = await started()
  const { client, spire, stack } = world
  const other = stack.use(await startSpire({ trustDomain: 'elsewhere.org' }))
  spire.federateWith(other)
  const [own, theirs] = [
    await client.get('GetBundle', {}),
    await client.get('GetFederatedBundle', { trust_domain: 'elsewhere.org' }),
  ]
  assert.deepEqual(
    [at(own, 'jwt_authorities', 0, 'key_id'), at(theirs, 'jwt_authorities', 0, 'key_id')],
    [spire.kids[0], other.kids[0]],
  )
  const endpoint = stack.use(await spire.bundleEndpoint({ profile: 'https_spiffe', refreshHintS: 60 }))
  const { promise, reject, resolve } = Promise.withResolvers<string>()
  let names: string | undefined
  const checkServerIdentity = (_host: string, { subjectaltname }: { subjectaltname?: string }) => {
    names = subjectaltname
    return undefined
  }
  request(endpoint.url, { ca: spire.caPem, checkServerIdentity, agent: false }, async (response) => {
    resolve(Buffer.concat(await response.toArray()).toString())
  })
    .on('error', reject)
    .end()
  const document: unknown = JSON.parse(await promise)
  assert.equal(names, `URI:${spire.serverId}`)
  assert.deepEqual([at(document, 'spiffe_sequence'), at(document, 'spiffe_refresh_hint')], [1, 60])
  assert.deepEqual(
    list(at(document, 'keys')).map((key) => at(key, 'use')),
    ['x509-svid', 'jwt-svid'],
  )
  const ca = new X509Certificate(Buffer.from(text(at(document, 'keys', 0, 'x5c', 0)), 'base64'))
  assert.ok(ca.ca && new X509Certificate(spire.x509Svid(agent).certificate).verify(ca.publicKey))
  spire.revokeJwtKey(spire.kids[0] ?? '')
  assert.deepEqual(at(await client.get('GetBundle', {}), 'jwt_authorities'), [])
})

test('calls fail as they are told to, and the server can go away and come back', async () => {
  await using world = await started()
  const { client, spire, stack } = world
  const entry = spire.addEntry({ spiffeId: agent, selectors: ['unix:uid:1'] })
  spire.fail(/ListEntries/, { status: 14, message: 'down' })
  assert.deepEqual(await client.ask('ListEntries', {}), { code: 14, details: 'down' })
  spire.fail(/BatchUpdateEntry/, { mode: 'reset-after-body' })
  assert.equal(at(await client.ask('BatchUpdateEntry', withSelectors(entry.id, [sentinel])), 'code'), 14)
  assert.deepEqual(spire.entry(entry.id)?.selectors, [sentinel], 'carried out all the same')
  spire.fail(/ListEntries/, { altered: 'empty' })
  assert.deepEqual(at(await client.get('ListEntries', {}), 'entries'), [])
  await spire.goAway()
  const lost = stack.use(new SpireClient(spire.socket))
  assert.equal(at(await lost.ask('CountEntries', {}), 'code'), 14)
  await spire.comeBack()
  const found = stack.use(new SpireClient(spire.socket))
  assert.deepEqual(await found.ask('CountEntries', {}), { message: { count: 1 } })
})
