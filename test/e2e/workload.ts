import assert from 'node:assert/strict'
import { fetchTokens, SpireClient, workloadHeader } from '../sandbox/spireclient.ts'
import { assertAllowed, assertDenied, isAllowed, kill, path, register } from './agents.ts'
import { at, listAt, textAt } from './json.ts'
import { until } from './until.ts'
import { settleMs, startWorld } from './world.ts'

const did = 'did:agentmesh:workload:1b2c3d4e5f607182'
const audience = 'api://agents'
/** The latter where all selectors must be of one type. */
const sentinels = ['suspended', 'agentmesh-suspended']
const waitMs = 120_000

/** A SPIRE, real or local, and a process that its agent knows by a selector. */
export interface Deployment {
  /** Of the server API. */
  readonly socket: string
  /** Of the Workload API, as that process reaches it. */
  readonly workload: string
  readonly trustDomain: string
  readonly agentId: string
  /** `type:value` */
  readonly selector: string
}

export interface Measured {
  /** From the answer to the kill until tokens were no longer issued. */
  readonly stoppedMs: number
  /** From the same until who listens for X.509-SVIDs was told that there are none. */
  readonly toldMs: number
  /** From the answer to the release until they were again. */
  readonly resumedMs: number
}

const selectorOf = (written: string) => {
  const [type = '', ...value] = written.split(':')
  return { type, value: value.join(':') }
}

/** In an order of its own, as servers may change it. */
const sorted = (entry: unknown): object => {
  const byText = (one: unknown, other: unknown) => JSON.stringify(one).localeCompare(JSON.stringify(other))
  return { ...Object(entry), selectors: listAt(entry, 'selectors').toSorted(byText) }
}

/**
 * A workload is registered, gets a token and is allowed by it; a kill holds its entries, one that is made meanwhile too, and
 * stops what it is issued; the release restores every field of them.
 */
export async function killsAndRestores({
  agentId,
  selector,
  socket,
  trustDomain,
  workload,
}: Deployment): Promise<Measured> {
  await using stack = new AsyncDisposableStack()
  const [server, agent] = [stack.use(new SpireClient(socket)), stack.use(new SpireClient(workload))]
  const spiffe_id = { trust_domain: trustDomain, path: '/agentmesh/a1' }
  const id = `spiffe://${trustDomain}${spiffe_id.path}`
  const parent_id = { trust_domain: trustDomain, path: agentId.slice(`spiffe://${trustDomain}`.length) }
  const own = selectorOf(selector)
  const everything = {
    id: 'agent-a1',
    spiffe_id,
    parent_id,
    selectors: [own],
    x509_svid_ttl: 600,
    jwt_svid_ttl: 60,
    dns_names: ['a1.example.org'],
    hint: 'the one',
    expires_at: 4_102_444_800,
    // Without it the agent hands the same token out again until half of its life is over.
    additional_attributes: { jwt_svid_include_jti: true },
  }
  const elsewhere = {
    id: 'agent-a1-elsewhere',
    spiffe_id,
    parent_id: { trust_domain: trustDomain, path: '/nodes/other' },
    selectors: [
      { type: 'k8s', value: 'ns:agents' },
      { type: 'k8s', value: 'sa:a1' },
    ],
    admin: true,
    downstream: true,
  }
  const later = {
    ...elsewhere,
    id: 'agent-a1-later',
    parent_id: { trust_domain: trustDomain, path: '/nodes/third' },
    downstream: false,
    store_svid: true,
  }
  const create = async (entry: object) => {
    const created = await server.get('BatchCreateEntry', { entries: [entry] })
    assert.equal(at(created, 'results', 0, 'status', 'code'), 0, JSON.stringify(created))
    return sorted(at(created, 'results', 0, 'entry'))
  }
  const read = async ({ id }: { id: string }) => sorted(await server.get('GetEntry', { id }))
  const isHeld = async (entry: { id: string }) =>
    listAt(await read(entry), 'selectors').some((each) => sentinels.includes(textAt(each, 'value')))
  await create(everything)
  await create(elsewhere)
  const before = [await read(everything), await read(elsewhere)]

  const spiffe = {
    kind: 'spiffe',
    trustDomain,
    server: { address: socket },
    manage: { paths: ['/agentmesh/'] },
    tokens: { audiences: [audience] },
    settle: `${settleMs}ms`,
    sync: { accounts: '* * * * * *' },
  }
  const world = stack.use(await startWorld({ adapters: { spiffe } }))
  const daemon = stack.use(await world.daemon())
  await register(daemon.as('registrar'), {
    did,
    name: 'workload',
    principals: [{ adapter: 'spiffe', id, kind: 'workload' }],
  })
  const issued = async () => {
    const tokens = await fetchTokens(agent, audience)
    return typeof tokens === 'number' ? undefined : tokens[0]
  }
  const token = await until('a token is issued', issued, waitMs)
  await until('the token allows', () => isAllowed(daemon, { token }), waitMs)
  await assertDenied(daemon, { token: `${token.slice(0, -4)}AAAA` }, 'R_SIGNATURE')
  const x509 = stack.use(agent.open('FetchX509SVID'))
  assert.equal(at(await x509.next(), 'svids', 0, 'spiffe_id'), id)
  let told: { readonly code: number; readonly atMs: number } | undefined
  x509.ended.then((code) => {
    told = { code, atMs: performance.now() }
  })

  const holdId = await kill(daemon, did)
  const killed = performance.now()
  await assertDenied(daemon, { token })
  await until('both entries are held', async () => (await isHeld(everything)) && (await isHeld(elsewhere)), waitMs)
  await until('nothing is issued', async () => (await issued()) === undefined, waitMs)
  const stoppedMs = Math.round(performance.now() - killed)
  const { atMs, code } = await until('who listens is told', () => told, waitMs)
  assert.equal(code, 7)
  const toldMs = Math.round(atMs - killed)
  assert.deepEqual(await agent.ask('FetchJWTSVID', { audience: [audience] }, workloadHeader()), {
    code: 7,
    details: 'no identity issued',
  })
  await assertDenied(daemon, { token })
  // Read, it might be held by then.
  const beforeLater = await create(later)
  await until('an entry made meanwhile is held', () => isHeld(later), waitMs)
  const receipt = async () => (await daemon.as('alice').get(path(did, `/receipts/${holdId}`))).body
  const leg = await until(
    'the leg is closed',
    async () => listAt(await receipt(), 'legs').find((each) => at(each, 'id') === id && at(each, 'state') === 'closed'),
    waitMs,
  )
  assert.ok(Date.parse(textAt(leg, 'sessionsEndAt')) > Date.parse(textAt(leg, 'closedAt')), 'SVIDs outlive the hold')

  const release = await daemon.as('alice').post(path(did, `/holds/${holdId}/release`), { reason: 'a false alarm' })
  const approved = await daemon.as('bob').post(`/v1/releases/${textAt(release.body, 'releaseId')}/approve`, {})
  assert.equal(approved.status, 200, approved.text)
  const released = performance.now()
  await until('a token is issued again', issued, waitMs)
  const resumedMs = Math.round(performance.now() - released)
  // One that was issued before the bridge knew that all is released stays refused.
  await until('allowed again', async () => isAllowed(daemon, { token: await issued() }), waitMs)
  await assertAllowed(daemon, { did })
  await until('none is held', async () => !(await isHeld(elsewhere)) && !(await isHeld(later)), waitMs)
  const restored = await Promise.all([everything, elsewhere, later].map(read))
  for (const [index, entry] of [...before, beforeLater].entries()) {
    const { revision_number: _, ...fields } = Object(entry)
    const { revision_number, ...now } = Object(restored[index])
    assert.deepEqual(now, fields)
    assert.ok(Number(revision_number) >= 2, 'held and restored')
  }
  return { stoppedMs, toldMs, resumedMs }
}
