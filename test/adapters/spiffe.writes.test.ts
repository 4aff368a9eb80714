import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Adapter } from '../../src/core/adapter.ts'
import { codeOf } from '../../src/core/errors.ts'
import { SpireClient } from '../sandbox/spireclient.ts'
import { domain, entriesOf, isHeld } from './trustdomain.ts'

const accountsOf = ({ accounts }: Adapter) => accounts ?? assert.fail('there are no accounts')
const signal = () => AbortSignal.timeout(30_000)
const UPDATE = '/spire.api.server.entry.v1.Entry/BatchUpdateEntry'
const of = (items: readonly { type: string; value: string }[]) =>
  items.map(({ type, value }) => `${type}:${value}`).sort()

/** An entry with every field set, as far as a comparison may show it: selectors have no order. */
const fields = <T extends { selectors: readonly { type: string; value: string }[]; revision_number: number }>(
  entry: T,
) => {
  const { selectors, revision_number: _, ...rest } = entry
  return { ...rest, selectors: of(selectors) }
}

test('a suspension adds one selector to every entry of the ID, and release restores each field', async () => {
  await using base = await domain()
  const { spire, adapter, workloads } = base
  const [neighbour] = workloads(1)
  const id = 'spiffe://example.org/agents/multi'
  const other = spire.addAgent()
  spire.addEntry({
    spiffeId: id,
    selectors: ['unix:uid:1001', 'unix:gid:7'],
    more: {
      hint: 'the agent',
      jwt_svid_ttl: 60,
      x509_svid_ttl: 600,
      dns_names: ['a.example.org'],
      expires_at: 4_000_000_000,
    },
  })
  spire.addEntry({ spiffeId: id, parentId: other, selectors: ['k8s:ns:agents'] })
  const before = spire.entries.map(fields)
  const ref = { id, kind: 'workload' }

  const [off] = await accountsOf(adapter).disable([ref], signal())
  assert.equal(off?.outcome, 'done')
  for (const { selectors } of entriesOf(spire, id)) assert.ok(of(selectors).includes('agentmesh:suspended'))
  assert.ok(neighbour && !isHeld(spire, neighbour.id))
  assert.equal((await adapter.lookup([ref], signal())).get(id)?.state, 'disabled')

  const [on] = await accountsOf(adapter).enable([ref], signal())
  assert.equal(on?.outcome, 'done')
  assert.deepEqual(spire.entries.map(fields), before)
  assert.deepEqual(
    entriesOf(spire, id).map(({ revision_number }) => Number(revision_number)),
    [2, 2],
  )
})

test('who is an administrator by an entry is none while suspended, and is one again', async () => {
  await using base = await domain()
  const { spire, adapter } = base
  const ref = { id: 'spiffe://example.org/agents/admin', kind: 'workload' }
  const { id } = spire.addEntry({
    spiffeId: ref.id,
    selectors: ['unix:uid:1'],
    more: { admin: true, downstream: true },
  })
  const plain = spire.addEntry({ spiffeId: ref.id, selectors: ['unix:uid:2'] })
  await accountsOf(adapter).disable([ref], signal())
  assert.deepEqual([spire.entry(id)?.admin, spire.entry(id)?.downstream], [false, false])

  // Somebody makes it one again: it can act, whatever its selectors are.
  spire.changeEntry(id, { admin: true })
  assert.equal((await adapter.lookup([ref], signal())).get(ref.id)?.state, 'enabled')
  await accountsOf(adapter).disable([ref], signal())
  assert.equal(spire.entry(id)?.admin, false)

  await accountsOf(adapter).enable([ref], signal())
  const restored = spire.entry(id)
  assert.deepEqual([restored?.admin, restored?.downstream, of(restored?.selectors ?? [])], [true, true, ['unix:uid:1']])
  assert.deepEqual([spire.entry(plain.id)?.admin, of(spire.entry(plain.id)?.selectors ?? [])], [false, ['unix:uid:2']])
})

test('an entry that stores its SVID keeps to selectors of one type', async () => {
  await using base = await domain()
  const { spire, adapter } = base
  const ref = { id: 'spiffe://example.org/agents/stored', kind: 'workload' }
  const { id } = spire.addEntry({ spiffeId: ref.id, selectors: ['gcp:secret:a'], more: { store_svid: true } })
  assert.equal((await accountsOf(adapter).disable([ref], signal()))[0]?.outcome, 'done')
  assert.deepEqual(of(spire.entry(id)?.selectors ?? []), ['gcp:agentmesh-suspended', 'gcp:secret:a'])
  assert.equal((await adapter.lookup([ref], signal())).get(ref.id)?.state, 'disabled')
  await accountsOf(adapter).enable([ref], signal())
  assert.deepEqual(of(spire.entry(id)?.selectors ?? []), ['gcp:secret:a'])
})

test('an entry created for a held ID, or reset by its controller, turns it on again', async () => {
  await using base = await domain()
  const { spire, adapter, workloads } = base
  const [ref] = workloads(1)
  assert.ok(ref)
  const feed = async (since?: string) => {
    let checkpoint: string | undefined
    const seen = []
    for await (const page of adapter.changes(since, signal())) {
      seen.push(...page.sightings)
      checkpoint = page.checkpoint
    }
    return { seen, checkpoint }
  }
  await accountsOf(adapter).disable([ref], signal())
  const first = await feed()
  assert.deepEqual(
    first.seen.map(({ state }) => state),
    ['disabled'],
  )
  spire.addEntry({ spiffeId: ref.id, selectors: ['unix:uid:77'] })
  const second = await feed(first.checkpoint)
  assert.deepEqual(
    second.seen.map(({ id, state }) => [id, state]),
    [[ref.id, 'enabled']],
  )
  await accountsOf(adapter).disable([ref], signal())
  assert.ok(isHeld(spire, ref.id))
  const third = await feed(second.checkpoint)
  const [entry] = entriesOf(spire, ref.id)
  assert.ok(entry)
  spire.changeEntry(entry.id, { selectors: [{ type: 'unix', value: 'uid:1001' }] })
  assert.deepEqual(
    (await feed(third.checkpoint)).seen.map(({ state }) => state),
    ['enabled'],
  )
})

test('a workload whose nodes are all banned is off, by a switch that is not ours', async () => {
  await using base = await domain()
  const { spire, adapter, workloads } = base
  const [ref] = workloads(1)
  assert.ok(ref)
  const states = async () => (await adapter.lookup([ref], signal())).get(ref.id)
  using client = new SpireClient(spire.socket)
  await client.get('BanAgent', {
    id: { trust_domain: 'example.org', path: spire.agentId.slice('spiffe://example.org'.length) },
  })
  const seen = await states()
  assert.equal(seen?.state, 'disabled')
  assert.deepEqual(
    seen?.switches.map(({ name, state, ours }) => [name, state, ours]),
    [
      ['entries', 'on', true],
      ['nodes', 'off', false],
    ],
  )
  spire.addEntry({ spiffeId: ref.id, parentId: spire.addAgent(), selectors: ['unix:uid:5'] })
  assert.equal((await states())?.state, 'enabled')
  spire.fail('/spire.api.server.agent.v1.Agent/ListAgents', { status: 13 })
  assert.equal((await states())?.state, 'unknown')
})

test('an item that fails is told, and a part of the entries is neither done nor refused', async () => {
  await using base = await domain()
  const { spire, adapter, workloads } = base
  const [ref] = workloads(1)
  assert.ok(ref)
  spire.fail(UPDATE, { status: 7 })
  const [refused] = await accountsOf(adapter).disable([ref], signal())
  assert.deepEqual([refused?.outcome, refused?.error?.code], ['refused', 'E_DIRECTORY_FORBIDDEN'])
  spire.fail(UPDATE, { status: 14, applied: true })
  const [lost] = await accountsOf(adapter).disable([ref], signal())
  assert.deepEqual([lost?.outcome, lost?.error?.code], ['lost', 'E_DIRECTORY_DOWN'])
  assert.equal(lost?.before?.state, 'enabled')
  assert.ok(isHeld(spire, ref.id))
})

test('a release that is not wanted any more, or that would leave no selector, sends nothing', async () => {
  await using base = await domain()
  const { spire, adapter, workloads } = base
  const [ref] = workloads(1)
  assert.ok(ref)
  await accountsOf(adapter).disable([ref], signal())
  const [kept] = await accountsOf(adapter).enable([ref], signal(), () => Promise.reject(new Error('held again')))
  assert.equal(kept?.outcome, 'unsent')
  assert.ok(isHeld(spire, ref.id))
  const [entry] = entriesOf(spire, ref.id)
  spire.changeEntry(entry?.id ?? '', { selectors: [{ type: 'agentmesh', value: 'suspended' }] })
  spire.clearRequests()
  const [bare] = await accountsOf(adapter).enable([ref], signal())
  assert.deepEqual([bare?.outcome, bare?.error?.code], ['refused', 'E_DIRECTORY_REFUSED'])
  assert.ok(spire.requests.every(({ path }) => path !== UPDATE))
})

test('what somebody else wrote in the very moment is said', async () => {
  await using base = await domain()
  const { spire, adapter, workloads, logged } = base
  const [ref] = workloads(1)
  assert.ok(ref)
  const [entry] = entriesOf(spire, ref.id)
  const held = Promise.withResolvers<void>()
  spire.fail(UPDATE, { mode: 'wait', until: held.promise })
  const arrived = spire.waitForRequest(({ path }) => path === UPDATE)
  const writing = accountsOf(adapter).disable([ref], signal())
  await arrived
  spire.changeEntry(entry?.id ?? '', { hint: 'changed' })
  held.resolve()
  assert.equal((await writing)[0]?.outcome, 'done')
  assert.match(logged(), /changed by somebody else/)
  assert.equal(spire.entry(entry?.id ?? '')?.hint, 'changed', 'a field that is not masked is left alone')
})

test('only workloads of the domain, under the managed paths and not on the list of nevers, are written', async () => {
  await using base = await domain({
    settings: { manage: { paths: ['/agents/'] }, never: ['spiffe://example.org/agents/gate'] },
  })
  const { spire, adapter } = base
  spire.addEntry({ spiffeId: 'spiffe://example.org/agents/gate', selectors: ['unix:uid:3'] })
  spire.addEntry({ spiffeId: 'spiffe://example.org/agents', selectors: ['unix:uid:3'] })
  const code = (id: string, kind = 'workload') => codeOf(adapter.vet({ id, kind }))
  assert.equal(adapter.vet({ id: 'spiffe://example.org/agents/a', kind: 'workload' }), undefined)
  assert.equal(code('spiffe://example.org/agents/gate'), 'E_NEVER')
  assert.equal(code('spiffe://example.org/db/a'), 'E_KIND_REFUSED')
  assert.equal(code('spiffe://example.org/agents/a', 'user'), 'E_KIND_REFUSED')
  for (const id of [
    'spiffe://example.org',
    'spiffe://example.org/',
    'spiffe://example.org/agents/',
    'spiffe://example.org/agents/../db',
    'spiffe://example.org/agents/did:agentmesh:a',
    'spiffe://example.org/agents/%61',
    'spiffe://example.org:80/agents/a',
    'spiffe://EXAMPLE.org/agents/a',
    'spiffe://other.org/agents/a',
    'spiffe://example.org/spire/server',
    `spiffe://example.org/agents/${'a'.repeat(2048)}`,
  ])
    assert.equal(code(id), 'E_PRINCIPAL_ID', id)
  const refs = ['gate', ''].map((name) => ({
    id: `spiffe://example.org/agents${name && `/${name}`}`,
    kind: 'workload',
  }))
  const results = await accountsOf(adapter).disable(refs, signal())
  assert.deepEqual(results.map(({ outcome }) => outcome).sort(), ['unsent', 'unsent'].sort())
  assert.ok(spire.entries.every(({ revision_number }) => Number(revision_number) === 0))
})

test('receipts tell the longest time that an SVID of the workload goes on', async () => {
  await using base = await domain({ settings: { svids: { x509Ttl: '2h', jwtTtl: '5m' } } })
  const { spire, adapter } = base
  const short = 'spiffe://example.org/agents/short'
  spire.addEntry({ spiffeId: short, selectors: ['unix:uid:3'], more: { x509_svid_ttl: 300, jwt_svid_ttl: 60 } })
  assert.equal(adapter.accounts?.tailMs?.(short), 7_210_000, 'never read: what the server gives')
  await adapter.lookup([{ id: short, kind: 'workload' }], signal())
  assert.equal(adapter.accounts?.tailMs?.(short), 310_000)
})
