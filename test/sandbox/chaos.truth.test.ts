import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seeded } from '../../sandbox/random.ts'
import { pace } from '../chaos/daemon.ts'
import { adapters, newMember, startTenancies } from '../chaos/fleet.ts'
import { Journal } from '../chaos/journal.ts'
import { Truth } from '../chaos/truth.ts'

const settleMs = pace.settleMs.chaos

/** One account of an Entra tenant, an administrator of it, and the writes of a bridge. */
const start = async () => {
  const tenancies = await startTenancies(seeded(1), 1)
  const member = newMember(tenancies, 0, undefined)
  const [account] = member.accounts
  assert.ok(account)
  const truth = new Truth(tenancies, new Journal(), [member])
  truth.look()
  const turn = (on: boolean) => tenancies.contoso.flip(account.id, on)
  return {
    truth,
    account,
    admin: (on: boolean) => truth.admin(account, member, on ? 'enables' : 'disables', () => turn(on)),
    bridge: (on: boolean) => {
      turn(on)
      truth.look()
    },
    async [Symbol.asyncDispose]() {
      for (const name of adapters) await tenancies[name].close()
    },
  }
}

test('chaos: off by the bridge right after an administrator switched it on, nobody can tell who wants it off', async () => {
  await using world = await start()
  const { account, admin, bridge, truth } = world
  bridge(false)
  assert.equal(truth.isDoubtful(account.id, settleMs), false)
  bridge(true)
  admin(false)
  assert.equal(truth.isDoubtful(account.id, settleMs), false)
  admin(true)
  assert.equal(truth.isDoubtful(account.id, settleMs), false)
  bridge(false)
  assert.deepEqual([truth.isForeign(account), truth.isDoubtful(account.id, settleMs)], [false, true])
  // Longer after it no read says so any more.
  assert.equal(truth.isDoubtful(account.id, -1), false)
})

test('chaos: what two operators overrode is not switched on over an administrator', async () => {
  await using world = await start()
  const { account, admin, bridge, truth } = world
  admin(false)
  bridge(true)
  assert.ok(truth.overruled.has(account.id))
  truth.overridden(account.id)
  assert.equal(truth.overruled.has(account.id), false)
})
