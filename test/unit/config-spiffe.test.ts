import assert from 'node:assert/strict'
import { test } from 'node:test'
import { configs } from '../../adapters/index.ts'
import { suggesting } from '../../adapters/spiffe/naming.ts'

const good = { kind: 'spiffe', trustDomain: 'example.org', server: { address: 'unix:///run/spire/api.sock' } }
const faults = (more: object): string[] => {
  const parsed = configs.spiffe.safeParse({ ...good, ...more })
  return parsed.success ? [] : parsed.error.issues.map(({ path }) => path.join('.'))
}

test('a trust domain on a socket needs no more than its name', () => {
  assert.deepEqual(faults({}), [])
  const { server, manage, settle } = configs.spiffe.parse(good)
  assert.deepEqual([server.address, manage.kinds, settle], ['unix:/run/spire/api.sock', ['workload'], 15_000])
})

test('a server over the network needs a Workload API, and one on a socket has no use for it', () => {
  const workloadApi = 'unix:///run/agent/api.sock'
  assert.deepEqual(faults({ server: { address: 'spire.example.org:8081' } }), ['server.workloadApi'])
  assert.deepEqual(faults({ server: { address: 'spire.example.org:8081', workloadApi } }), [])
  assert.deepEqual(faults({ server: { address: '10.0.0.1:8081', workloadApi: 'tcp://127.0.0.1:8000' } }), [])
  assert.deepEqual(faults({ server: { ...good.server, workloadApi } }), ['server.workloadApi'])
  for (const wrong of ['tcp://agent:8000', 'http://127.0.0.1:80', 'tcp://127.0.0.1:80/x', 'tcp://127.0.0.1:99999'])
    assert.deepEqual(faults({ server: { address: 'a:1', workloadApi: wrong } }), ['server.workloadApi'], wrong)
  for (const address of ['spire.example.org', 'https://spire:1', 'dns:///a:1', 'a:99999', 'unix:relative'])
    assert.ok(faults({ server: { address } }).includes('server.address'), address)
})

test('names that are no SPIFFE IDs, and groups, are faults', () => {
  for (const trustDomain of ['spiffe://example.org', 'Example.org', 'example.org:80', ''])
    assert.deepEqual(faults({ trustDomain }), ['trustDomain'], trustDomain)
  assert.deepEqual(faults({ never: ['/agents/a'] }), ['never.0'])
  assert.deepEqual(faults({ manage: { paths: ['agents'] } }), ['manage.paths.0'])
  assert.deepEqual(faults({ manage: { groups: ['g'] } }), ['manage.groups'])
  assert.deepEqual(faults({ groups: { g: ['read:reports'] } }), ['groups'])
})

test('an endpoint of SPIFFE needs its ID and a first bundle; nothing is inferred', () => {
  const tokens = (bundle: object) => ({ tokens: { audiences: ['a'], bundle } })
  const url = 'https://bundle.example.org/'
  assert.deepEqual(faults(tokens({ type: 'https_web', url })), [])
  assert.deepEqual(faults(tokens({ type: 'https_web', url: 'http://bundle.example.org/' })), ['tokens.bundle.url'])
  assert.deepEqual(faults(tokens({ type: 'https_spiffe', url })), [
    'tokens.bundle.endpointId',
    'tokens.bundle.bootstrap',
  ])
})

test('what would be accepted and mean nothing is a fault', () => {
  const federated = { 'partner.org': { bundle: { type: 'server' } } }
  const tokens = { audiences: ['a'], federated }
  assert.deepEqual(faults({ tokens }), [])
  assert.deepEqual(
    faults({ tokens: { ...tokens, federated: { ...federated, 'example.org': { bundle: { type: 'server' } } } } }),
    ['tokens.federated.example.org'],
  )
  const kinds = { kinds: ['workload', 'federatedWorkload'] }
  assert.deepEqual(faults({ manage: kinds }), ['manage.kinds.1'])
  assert.deepEqual(faults({ manage: kinds, tokens }), [])
  const never = ['spiffe://example.org/gateway', 'spiffe://partner.org/gateway']
  assert.deepEqual(faults({ never }), ['never.1'])
  assert.deepEqual(faults({ never, tokens }), [])
  assert.deepEqual(faults({ manage: { paths: ['/agents/', '/spire/agent/'] } }), ['manage.paths.1'])
  assert.deepEqual(faults({ server: { ...good.server, id: 'spiffe://example.org/spire/server' } }), ['server.id'])
  assert.deepEqual(faults({ trustedWriters: ['somebody'] }), ['trustedWriters'])
})

test('the credential of Entra by SPIFFE needs a Workload API and the client id', () => {
  const guid = '11111111-2222-3333-4444-555555555555'
  const entra = (credential: object) => {
    const parsed = configs.entra.safeParse({
      kind: 'entra',
      tenantId: guid,
      credential: { type: 'spiffe', ...credential },
    })
    return parsed.success ? parsed.data.credential : parsed.error.issues.map(({ path }) => path.join('.'))
  }
  assert.deepEqual(entra({}), ['credential.clientId', 'credential.socket'])
  const given = { clientId: guid, socket: 'unix:///run/spire/agent.sock' }
  assert.deepEqual(entra(given), {
    type: 'spiffe',
    clientId: guid,
    socket: 'unix:/run/spire/agent.sock',
    audience: 'api://AzureADTokenExchange',
  })
  assert.deepEqual(entra({ ...given, socket: 'https://agent.example' }), ['credential.socket'])
  assert.deepEqual(entra({ ...given, spiffeId: 'did:agentmesh:a' }), ['credential.spiffeId'])
})

test('a naming is a fault unless each ID suggests one DID, and each DID comes of one ID', () => {
  const spiffeId = 'spiffe://example.org/ns/{team}/agents/{name}-v1'
  const did = 'did:agentmesh:{team}:{name}'
  const at = (rule: object) =>
    faults({ discovery: { naming: [rule] } }).map((path) => path.replace(/^discovery\.naming\.0\./, ''))
  assert.deepEqual(at({ spiffeId, did }), [])
  for (const wrong of [
    'spiffe://example.org/agents/a',
    'spiffe://{domain}/agents/{name}',
    'spiffe://example.org/{a}{b}',
    'spiffe://example.org/{a}/{a}',
    'spiffe://example.org/{Name}',
    'spiffe://example.org/{name',
    'spiffe://example.org/a:b/{name}',
    'spiffe://example.org/{name}/',
    'https://example.org/{name}',
  ])
    assert.ok(at({ spiffeId: wrong, did: 'did:mesh:{name}' }).includes('spiffeId'), wrong)
  assert.deepEqual(at({ spiffeId: 'spiffe://other.org/{name}', did: 'did:mesh:{name}' }), ['spiffeId'])
  for (const wrong of [
    'did:web:{team}:{name}',
    '{team}:{name}',
    'did:mesh:{team}{name}',
    'did:mesh:{team}-{name}',
    'did:mesh:{team}:{name}:{more}',
    'did:mesh:{name}',
    'did:mesh:{team}:{name} x',
    'did:mesh:{team}:{na me}',
  ])
    assert.deepEqual(at({ spiffeId, did: wrong }), ['did'], wrong)
  assert.deepEqual(at({ spiffeId, did, more: 1 }), ['discovery.naming.0'])
})

test('the first naming that fits an ID suggests its DID; one that fits none suggests nothing', () => {
  const suggested = suggesting([
    { spiffeId: 'spiffe://example.org/ns/{team}/agents/{name}-v1', did: 'did:agentmesh:{team}:{name}' },
    { spiffeId: 'spiffe://example.org/agents/{name}', did: 'did:mesh:{name}' },
    { spiffeId: 'spiffe://example.org/{top}/{name}', did: 'did:mesh:{top}:{name}:{name}' },
  ])
  for (const [path, did] of [
    ['ns/a.b/agents/c-v1-v1', 'did:agentmesh:a.b:c-v1'],
    ['ns/a/agents/-v1', undefined],
    ['ns/a/b/agents/c-v1', undefined],
    ['agents/x', 'did:mesh:x'],
    ['agents/x/y', undefined],
    ['other/x', 'did:mesh:other:x:x'],
    ['nsXa', undefined],
  ] as const)
    assert.equal(suggested(`spiffe://example.org/${path}`), did, path)
  assert.equal(suggested('spiffe://exampleXorg/agents/x'), undefined)
  assert.equal(suggesting([])('spiffe://example.org/agents/x'), undefined)
})
