import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertDenied, kill, path, registerAll, scoutDid } from '../e2e/agents.ts'
import { at, listAt, textAt } from '../e2e/json.ts'
import { until } from '../e2e/until.ts'
import { type Daemon, startWorld } from '../e2e/world.ts'
import { Receiver, secretOf } from '../engine/receiver.ts'
import { crashed, maybe, patienceMs, program } from './parts.ts'

const webhook = (name: string, { url, secrets }: Receiver) => ({ name, url, secret: secrets, client: 'runtime' })

const nothingIsOwed = async (daemon: Daemon): Promise<boolean> => {
  const [one] = listAt((await daemon.as('alice').get('/v1/webhooks')).body, 'items')
  const owed = [at(one, 'behind', 'urgent'), at(one, 'behind', 'rest'), at(one, 'setAside')]
  return at(one, 'takenAt') !== null && owed.every((count) => count === 0)
}

describe('killed while it pushes', { concurrency: 2 }, () => {
  for (const [point, most] of [
    ['kill.committed', 1],
    ['push.answered', 2],
    ['push.kept', 1],
  ] as const) {
    test(`${point}: after the restart the receiver is told, and not once more than it takes`, async () => {
      await using receiver = await Receiver.open(secretOf('crash'))
      await using world = await startWorld({ signals: { webhooks: [webhook('payments', receiver)] } })
      const first = await world.daemon()
      await registerAll(first, world)
      // And that is on record, or the next one would say it again and die of that.
      await until('the receiver was told all there is', () => nothingIsOwed(first), patienceMs)
      assert.ok(receiver.told.includes('snapshot 0'))
      await first[Symbol.asyncDispose]()

      const dying = await world.daemon(program, point)
      await maybe(kill(dying, scoutDid))
      await crashed(dying)

      const daemon = await world.daemon()
      const told = () => receiver.taken.filter(({ type, did }) => type === 'suspended' && did === scoutDid)
      await until('the receiver is told', () => told().length > 0, patienceMs)
      await assertDenied(daemon, { did: scoutDid })
      // What comes after it on the same lane is behind whatever would be repeated.
      await kill(daemon, 'did:mesh:later')
      await until('the next one is told', () => receiver.told.includes('suspended did:mesh:later'), patienceMs)
      assert.ok(told().length <= most, `${told().length} times`)
      assert.equal(new Set(told().map(({ id }) => id)).size, 1)
      assert.equal(receiver.unsigned.length, 0)
      const [{ holdId = '' } = {}] = told()
      const receipt = await daemon.as('alice').get(path(scoutDid, `/receipts/${holdId}`))
      const legs = listAt(receipt.body, 'legs').filter((leg) => textAt(leg, 'type') === 'runtime')
      assert.deepEqual(
        legs.map((leg) => textAt(leg, 'state')),
        ['closed'],
      )
    })
  }
})

test('a receiver that never answers keeps neither the next one nor a directory waiting', async () => {
  await using hung = await Receiver.open(secretOf('hung'))
  await using good = await Receiver.open(secretOf('good'))
  hung.reply = () => 'hang'
  await using world = await startWorld({
    signals: { webhooks: [webhook('hung', hung), webhook('good', good)] },
  })
  const daemon = await world.daemon()
  await registerAll(daemon, world)
  await until('the first one has a request', () => hung.tried.length > 0, patienceMs)
  await kill(daemon, scoutDid)
  const { scout } = world.contoso.agents
  await until('the account is off', () => world.tenant.get(scout)?.enabled === false, patienceMs)
  await until('the other one is told', () => good.told.includes(`suspended ${scoutDid}`), patienceMs)
  assert.equal(hung.taken.length, 0)
  const list = await daemon.as('alice').get('/v1/webhooks')
  assert.deepEqual(
    listAt(list.body, 'items').map((one) => textAt(one, 'name')),
    ['hung', 'good'],
  )
  assert.ok(!`${list.text}${daemon.process.lines.join('')}`.includes('of-the-url'), 'the query may hold a secret')
})
