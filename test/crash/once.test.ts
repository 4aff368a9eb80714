import assert from 'node:assert/strict'
import { test } from 'node:test'
import { path, registerAll, reporterDid, scoutDid } from '../e2e/agents.ts'
import { at } from '../e2e/json.ts'
import { type Person, startWorld } from '../e2e/world.ts'
import { assertAudit, auditOf, crashed, maybe, program } from './parts.ts'

interface Request {
  readonly who: Person
  readonly route: string
  readonly body: object
  readonly status: number
  /** The entries that its one effect leaves, by type. */
  readonly leaves: Readonly<Record<string, number>>
}

const lasting = ['id', 'did', 'holdId', 'killId', 'status', 'placed', 'agents', 'revision']
const stable = (body: unknown): readonly unknown[] => lasting.map((name) => at(body, name))

test('key.kept: what was done under a key when the process died is answered, and not done again', async () => {
  const never = '0 0 1 1 *'
  await using world = await startWorld({ adapters: { contoso: { sync: { accounts: never, groups: never } } } })
  {
    await using daemon = await world.daemon()
    await registerAll(daemon, world)
  }
  const countOf = async (type: string) => (await auditOf(world)).filter((entry) => entry.type === type).length
  let keys = 0
  /** The process dies between the commit and the answer; the repeat and its repeat are answered by two others. */
  const ask = async ({ who, route, body, status, leaves }: Request): Promise<unknown> => {
    const headers = { 'idempotency-key': `key-${++keys}` }
    const before = await Promise.all(Object.keys(leaves).map(countOf))
    const dying = await world.daemon(program, 'key.kept')
    assert.equal(
      await maybe(dying.as(who).post(route, body, headers)),
      undefined,
      `${route}: the crash took the answer`,
    )
    await crashed(dying)
    await using daemon = await world.daemon()
    const first = await daemon.as(who).post(route, body, headers)
    const second = await daemon.as(who).post(route, body, headers)
    assert.deepEqual([first.status, second.status], [status, status], `${route}: ${first.text}`)
    // The state of accounts moves on between the two.
    assert.deepEqual(stable(second.body), stable(first.body))
    for (const [n, [type, count]] of Object.entries(leaves).entries()) {
      assert.equal((await countOf(type)) - (before[n] ?? 0), count, `${route}: ${type}`)
    }
    return first.body
  }

  const suspend = { severity: 'suspend', reason: 'breach' }
  const scout = path(scoutDid, '/holds')
  await ask({
    who: 'alice',
    route: scout,
    body: suspend,
    status: 201,
    leaves: { 'hold.placed': 1 },
  })
  const many = await ask({
    who: 'alice',
    route: '/v1/kill',
    body: { agentIds: [scoutDid, reporterDid, 'did:mesh:nobody'], reason: 'breach' },
    status: 202,
    leaves: { 'kill.recorded': 1, 'hold.placed': 3 },
  })
  assert.deepEqual([at(many, 'agents'), at(many, 'placed')], [3, 3])
  await assertAudit(world)
})
