import { Metadata } from '@grpc/grpc-js'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { at } from './client.ts'
import { type SpireClient, workloadHeader } from './spireclient.ts'

/** A SPIRE, real or local, as three callers reach it. */
export interface Stage {
  /** On the server's socket. */
  readonly local: SpireClient
  /** Over TLS, as nobody. */
  readonly nobody: SpireClient
  /** On the agent's socket, as a process without an entry. */
  readonly workload: SpireClient
  readonly trustDomain: string
}

/**
 * Plays one script, and tells each answer by the name of its step, without what differs from run to run: names of keys,
 * bytes, times, numbers of rows and the order of selectors.
 */
export async function playScript({ local, nobody, trustDomain, workload }: Stage): Promise<Record<string, unknown>> {
  const told: Record<string, unknown> = {}
  const play = async (
    step: string,
    client: SpireClient,
    call: string,
    message: object,
    metadata = workloadHeader(),
  ) => {
    const answer = await client.ask(call, message, metadata)
    told[step] = plain(answer)
    return answer
  }
  const id = (path: string, trust_domain = trustDomain) => ({ trust_domain, path })
  const self = { type: 'unix', value: 'uid:1' }
  const group = { type: 'unix', value: 'gid:2' }
  const sentinel = { type: 'agentmesh', value: 'suspended' }
  const entry = (path: string, more: object = {}) => ({
    spiffe_id: id(path),
    parent_id: id('/nodes/one'),
    selectors: [self, group],
    ...more,
  })

  const creations = {
    'with everything': entry('/agents/a', {
      id: 'a',
      x509_svid_ttl: 600,
      jwt_svid_ttl: 60,
      dns_names: ['a.example.org'],
      hint: 'did:mesh:a',
      expires_at: 4_102_444_800,
      admin: true,
      downstream: true,
    }),
    'the same in another order': entry('/agents/a', { id: 'other', selectors: [group, self] }),
    'more selectors': entry('/agents/a', { id: 'a2', selectors: [self, group, sentinel] }),
    'another parent': entry('/agents/a', { id: 'a3', parent_id: id('/nodes/two') }),
    'a taken id': entry('/agents/b', { id: 'a' }),
    'a bad id': entry('/agents/b', { id: 'a b' }),
    'a long id': entry('/agents/b', { id: 'a'.repeat(256) }),
    'nothing of it': {},
    'no path': entry(''),
    'a reserved path': entry('/spire/agent/x'),
    'a DID in the path': entry('/did:mesh:a'),
    'an open path': entry('/agents/'),
    'a dot': entry('/agents/../b'),
    'another trust domain': entry('/agents/b', { spiffe_id: id('/b', 'elsewhere.org') }),
    'a trust domain in capitals': entry('/agents/b', { spiffe_id: id('/b', 'Example.org') }),
    'no selectors': entry('/agents/b', { selectors: [] }),
    'a selector without type': entry('/agents/b', { selectors: [{ type: '', value: 'x' }] }),
    'a selector with a colon in its type': entry('/agents/b', { selectors: [{ type: 'a:b', value: 'x' }] }),
    'a selector without value': entry('/agents/b', { selectors: [{ type: 'a', value: '' }] }),
    'a long hint': entry('/agents/b', { hint: 'x'.repeat(1025) }),
    'an unknown bundle': entry('/agents/b', { federates_with: ['elsewhere.org'] }),
    'a negative lifetime': entry('/agents/b', { jwt_svid_ttl: -1 }),
    'stored, of two types': entry('/agents/b', { store_svid: true, selectors: [self, sentinel] }),
    stored: entry('/agents/s', { id: 's', store_svid: true }),
    'times of its own': entry('/agents/c', { id: 'c', created_at: 5, revision_number: 7 }),
  }
  for (const [what, sent] of Object.entries(creations)) {
    await play(`create: ${what}`, local, 'BatchCreateEntry', { entries: [sent] })
  }
  await play('create: told by a mask', local, 'BatchCreateEntry', {
    entries: [entry('/agents/d', { id: 'd' }), entry('/agents/d')],
    output_mask: { hint: true },
  })

  await play('list: all', local, 'ListEntries', {})
  await play('list: an empty mask', local, 'ListEntries', { output_mask: {} })
  await play('list: a bad token', local, 'ListEntries', { page_size: 2, page_token: 'x' })
  await play('list: a token without a size', local, 'ListEntries', { page_token: 'x', output_mask: {} })
  let token = ''
  for (let page = 1; page <= 5; page++) {
    const request = { page_size: 2, page_token: token, output_mask: { revision_number: true } }
    const answer = await play(`list: page ${page}`, local, 'ListEntries', request)
    token = 'message' in answer ? String(at(answer.message, 'next_page_token')) : ''
    if (token === '') break
  }
  const filters = {
    'all of two': { by_selectors: { selectors: [self, group], match: 0 } },
    'none but these': { by_selectors: { selectors: [self, group], match: 1 } },
    'at least the sentinel': { by_selectors: { selectors: [sentinel], match: 2 } },
    'any of them': { by_selectors: { selectors: [sentinel, self], match: 3 } },
    'no selector': { by_selectors: { selectors: [], match: 2 } },
    'a bad selector': { by_selectors: { selectors: [{ type: 'a:b', value: 'c' }], match: 2 } },
    'one id': { by_spiffe_id: id('/agents/a') },
    'a reserved id': { by_spiffe_id: id('/spire/server') },
    'an empty path': { by_spiffe_id: id('') },
    'one parent': { by_parent_id: id('/nodes/two') },
    'a hint': { by_hint: { value: 'did:mesh:a' } },
    'an empty hint': { by_hint: { value: '' } },
    downstream: { by_downstream: { value: true } },
    'no bundles': { by_federates_with: { trust_domains: [], match: 0 } },
  }
  for (const [what, filter] of Object.entries(filters)) {
    await play(`list: ${what}`, local, 'ListEntries', { filter, output_mask: {} })
    await play(`count: ${what}`, local, 'CountEntries', { filter })
  }

  const updates = {
    suspend: [{ id: 'a', selectors: [self, group, sentinel] }, { selectors: true }],
    'suspend again': [{ id: 'a', selectors: [self, group, sentinel] }, { selectors: true }],
    restore: [{ id: 'a', selectors: [self, group] }, { selectors: true }],
    'no selectors': [{ id: 'a', selectors: [] }, { selectors: true }],
    nobody: [{ id: 'nobody', selectors: [sentinel] }, { selectors: true }],
    'an empty mask': [{ id: 'a', selectors: [] }, {}],
    'no mask': [{ id: 'a', selectors: [self] }, null],
    'stored, of two types': [{ id: 's', selectors: [self, sentinel] }, { selectors: true }],
    'stored, of its own type': [
      { id: 's', selectors: [self, group, { type: 'unix', value: 'agentmesh-suspended' }] },
      { selectors: true },
    ],
    rights: [
      { id: 'a', admin: false, downstream: false },
      { admin: true, downstream: true },
    ],
    'a negative lifetime': [{ id: 'a', x509_svid_ttl: -1 }, { x509_svid_ttl: true }],
    everything: [entry('/agents/a', { id: 'a', hint: 'new' }), null],
  }
  for (const [what, [sent, input_mask]] of Object.entries(updates)) {
    await play(`update: ${what}`, local, 'BatchUpdateEntry', { entries: [sent], input_mask })
  }
  // It tells who may change entries, and changes none.
  const nothing = { entries: [], input_mask: { selectors: true }, output_mask: {} }
  await play('update: of none', local, 'BatchUpdateEntry', nothing)
  await play('get', local, 'GetEntry', { id: 'a' })
  await play('get: by a mask', local, 'GetEntry', { id: 'a', output_mask: { selectors: true } })
  await play('get: nobody', local, 'GetEntry', { id: 'nobody' })
  await play('get: no id', local, 'GetEntry', { id: '' })
  await play('delete', local, 'BatchDeleteEntry', { ids: ['c', 'c', 'nobody', ''] })

  await play('agents', local, 'ListAgents', {})
  await play('agents: an empty mask', local, 'ListAgents', { output_mask: {} })
  await play('agents: a bad token', local, 'ListAgents', { page_size: 2, page_token: 'x' })
  await play('agents: banned', local, 'ListAgents', { filter: { by_banned: { value: true } } })
  await play('agent: a workload', local, 'GetAgent', { id: id('/agents/a') })
  await play('agent: nobody', local, 'GetAgent', { id: id('/spire/agent/x509pop/none') })
  await play('bundle', local, 'GetBundle', {})
  await play('bundle: by a mask', local, 'GetBundle', { output_mask: { sequence_number: true } })
  await play('federated bundles', local, 'ListFederatedBundles', {})
  await play('federated bundles: a bad token', local, 'ListFederatedBundles', { page_size: 2, page_token: 'x' })
  await play('federated bundle: none', local, 'GetFederatedBundle', { trust_domain: 'elsewhere.org' })
  await play('federated bundle: our own', local, 'GetFederatedBundle', { trust_domain: trustDomain })
  const minted = await play('mint', local, 'MintJWTSVID', { id: id('/agents/a'), audience: ['one', 'two'], ttl: 60 })
  told['mint: the token'] = 'message' in minted ? readable(String(at(minted.message, 'svid', 'token'))) : undefined
  await play('mint: no audience', local, 'MintJWTSVID', { id: id('/agents/a') })
  await play('mint: no id', local, 'MintJWTSVID', { audience: ['one'] })
  await play('mint: the server', local, 'MintJWTSVID', { id: id('/spire/server'), audience: ['one'] })

  await play('nobody: entries', nobody, 'ListEntries', {})
  await play('nobody: agents', nobody, 'ListAgents', {})
  await play('nobody: an update of none', nobody, 'BatchUpdateEntry', nothing)
  await play('nobody: mint', nobody, 'MintJWTSVID', { id: id('/agents/a'), audience: ['one'] })
  await play('nobody: bundle', nobody, 'GetBundle', { output_mask: {} })

  const fetch = { audience: ['one'], spiffe_id: '' }
  await play('workload: no header', workload, 'FetchJWTSVID', fetch, new Metadata())
  await play('workload: no audience', workload, 'FetchJWTSVID', { audience: [] })
  await play('workload: no entry', workload, 'FetchJWTSVID', fetch)
  await play('workload: another id', workload, 'FetchJWTSVID', { ...fetch, spiffe_id: `spiffe://${trustDomain}/x` })
  for (const call of ['FetchX509SVID', 'FetchJWTBundles', 'FetchX509Bundles']) {
    using stream = workload.open(call)
    told[`workload: ${call}`] = await stream.ended
  }
  return told
}

const volatile = new Set([
  'created_at',
  'key_id',
  'token',
  'expires_at',
  'issued_at',
  'x509svid_expires_at',
  'x509svid_serial_number',
  'next_page_token',
  'sequence_number',
])

/** Without what differs from run to run. What is empty stays empty. */
function plain(value: unknown, name = ''): unknown {
  if (value instanceof Uint8Array) return value.length === 0 ? '' : '(bytes)'
  if (Array.isArray(value)) {
    const items = value.map((each) => plain(each))
    return name === 'selectors'
      ? items.toSorted((one, other) => JSON.stringify(one).localeCompare(JSON.stringify(other)))
      : items
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, plain(each, key)]))
  }
  if (volatile.has(name)) return ['', '0', 0].some((empty) => value === empty) ? value : '(differs)'
  return typeof value === 'string' ? value.replace(/join_token\/[\w-]+/g, 'join_token/(differs)') : value
}

function readable(token: string) {
  const { aud, exp = 0, iat = 0, sub, ...more } = decodeJwt(token)
  return {
    header: { ...decodeProtectedHeader(token), kid: '(differs)' },
    claims: { aud, sub, lifetimeS: exp - iat, more: Object.keys(more) },
  }
}
